"""What acts: the networks in plain torch, and the folder of data that a trained policy is. Nothing here imports Ray."""

from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .base import BasePolicy


def load_policy(where: str | PathLike[str] | None = None, env_id: str | None = None) -> "BasePolicy":
    """Loads a trained policy; its environment need not be installed.

    Args:
        where: a run's name or folder (then its best checkpoint), a checkpoint, a policy folder, an exported file, or
            None for the newest run.
        env_id: of the environment that the newest run is of; None for any.

    Raises:
        UsageError: there is no policy there, or it is damaged; the message says what there is instead.
    """
    if where is not None and Path(where).is_file():
        from .onnx_file import load_onnx

        return load_onnx(Path(where))
    from .find import find_policy
    from .folder import load_folder  # late: torch takes a second

    return load_folder(find_policy(None if where is None else str(where), env_id))
