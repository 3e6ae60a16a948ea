"""JSON and text files that are whole, whatever happens while they are written."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .cli import UsageError


def read_json(path: Path) -> dict[str, Any]:
    """Reads a JSON object.

    Raises:
        UsageError: it is not there, or not whole.
    """
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise UsageError(f"{path} can't be read: {error}") from None


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Writes a JSON file in one step."""
    write_text(path, json.dumps(content, indent=2) + "\n")


def write_text(path: Path, text: str) -> None:
    """Writes a text file in one step."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, content: bytes) -> None:
    """Writes a file in one step: it is the old one or the new one, never half of either."""
    new = path.with_name(path.name + ".new")
    try:
        new.write_bytes(content)
        os.replace(new, path)
    except BaseException:
        new.unlink(missing_ok=True)
        raise
