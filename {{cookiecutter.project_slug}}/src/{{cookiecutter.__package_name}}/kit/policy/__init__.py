"""What acts: the networks in plain torch, and the folder of data that a trained policy is. Nothing here imports Ray."""

from os import PathLike
from pathlib import Path
from typing import Any


def load_policy(where: str | PathLike[str] | None = None, env_id: str | None = None) -> Any:
    """Loads a trained policy; its environment need not be installed.

    Args:
        where: a run's name or folder (then its best checkpoint), a checkpoint, a policy folder, an exported file, or
            None for the newest run.
        env_id: of the environment that the newest run is of; None for any.

    Returns:
        A `BasePolicy`; of several agents a `MultiPolicy`, which takes and gives dicts by agent ID.

    Raises:
        UsageError: there is no policy there, or it is damaged; the message says what there is instead.
    """
    if where is not None and Path(where).is_file():
        from .onnx_file import load_onnx

        return load_onnx(Path(where))
    from .find import POLICIES, find_policy

    folder = find_policy(None if where is None else str(where), env_id)
    if (folder / POLICIES).is_file():
        from .multi_agent import load_policies

        return load_policies(folder)
    from .folder import load_folder  # late: torch takes a second

    return load_folder(folder)
