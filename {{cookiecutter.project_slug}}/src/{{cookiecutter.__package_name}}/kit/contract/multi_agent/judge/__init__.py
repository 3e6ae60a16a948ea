"""The checks of what only several agents have; the others are those of one agent, see `Check.several`."""

from . import agents, effects, ends, exchange

__all__ = ["agents", "effects", "ends", "exchange"]
