"""What extends RLlib: networks, learner and env runner.

Here, and nowhere else in the kit, names of Ray are used that are private; a test of the template lists them, and looks
whether the installed Ray still has them.
"""

import logging


def quieten() -> None:
    """Keeps what Ray logs from the terminal; its errors are raised as well. Call it after importing RLlib."""
    for logger in ("ray", "ray.rllib", "ray.train"):  # importing them has set their levels
        logging.getLogger(logger).setLevel(logging.CRITICAL)
