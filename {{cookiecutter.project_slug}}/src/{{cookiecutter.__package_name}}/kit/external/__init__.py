"""A simulator in a process of its own, started by the environment or running already; PROTOCOL.md is what it speaks."""

from .connection import PROTOCOL
from .process import SimulatorError
from .simulator import Simulator

__all__ = ["PROTOCOL", "Simulator", "SimulatorError"]
