"""Several agents in one environment; projects with one agent load nothing of it."""

from .env import MultiAgentEnv, TimeLimit

__all__ = ["MultiAgentEnv", "TimeLimit"]
