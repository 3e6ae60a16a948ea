"""What acts: the networks in plain torch, and the folder of data that a trained policy is. Nothing here imports Ray."""

from os import PathLike
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .policy import Policy


def load_policy(where: str | PathLike[str] | None = None) -> "Policy":
    """Loads a trained policy; its environment need not be installed.

    Args:
        where: a run's name or folder (then its best checkpoint), a checkpoint, a policy folder, or None for the newest
            run.

    Raises:
        UsageError: there is no policy there, or it is damaged; the message says what there is instead.
    """
    from .find import find_policy
    from .folder import load_folder  # late: torch takes a second

    return load_folder(find_policy(None if where is None else str(where)))
