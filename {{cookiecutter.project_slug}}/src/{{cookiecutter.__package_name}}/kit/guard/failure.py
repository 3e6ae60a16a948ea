"""A failure of the environment: what it was, and how to see it again."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

FILE = "failure.json"


class EnvironmentFailure(Exception):
    """The environment is at fault.

    Attributes:
        facts: JSON values: "message", and where they are known "seed", "episode", "step", "actions", "config" and
            "strict".
    """

    def __init__(self, failure: "Mapping[str, Any] | EnvironmentFailure") -> None:
        # Gymnasium's async mode makes the exception of a child process anew, from that exception itself.
        self.facts: dict[str, Any] = dict(failure.facts if isinstance(failure, EnvironmentFailure) else failure)
        super().__init__(self.facts)

    def __str__(self) -> str:
        return str(self.facts["message"])


def write_failure(folder: Path, facts: Mapping[str, Any], replay: str) -> str:
    """Writes failure.json into a run's folder; returns the message for the user, with the line to see it again.

    Args:
        folder: of the run.
        facts: of the failure.
        replay: what that line begins with.
    """
    message = str(facts["message"])
    if "seed" not in facts:
        return message
    path = folder / FILE
    path.write_text(json.dumps(facts, default=str) + "\n", encoding="utf-8")
    return f"{message}\nsee it again: {replay} {path}"
