"""Several agents in one environment; projects with one agent load nothing of it."""

from .env import MultiAgentEnv, TimeLimit
from .policies import PastSelf

__all__ = ["MultiAgentEnv", "PastSelf", "TimeLimit"]
