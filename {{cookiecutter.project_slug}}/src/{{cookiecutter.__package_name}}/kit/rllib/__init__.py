"""What extends RLlib: networks, learner and env runner.

Here, and nowhere else in the kit, names of Ray are used that are private; a test of the template lists them, and looks
whether the installed Ray still has them.
"""

import logging
from collections.abc import Callable
from typing import Any

import tree


def map_leaves(function: Callable[[Any], Any], structure: Any) -> Any:
    """Applies a function to each leaf; most structures are one leaf, for which `tree` takes longer than the function."""
    return tree.map_structure(function, structure) if isinstance(structure, (dict, tuple)) else function(structure)


def quieten() -> None:
    """Keeps what Ray logs from the terminal; its errors are raised as well. Call it after importing RLlib."""
    for logger in ("ray", "ray.rllib", "ray.train"):  # importing them has set their levels
        logging.getLogger(logger).setLevel(logging.CRITICAL)
