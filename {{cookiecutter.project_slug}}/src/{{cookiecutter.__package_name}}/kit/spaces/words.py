"""Values in words, for messages of one line."""

from typing import Any

import numpy as np


def short(value: Any, limit: int = 70) -> str:
    """Returns a one-line text of a value."""
    if isinstance(value, np.ndarray):
        text = np.array2string(value, threshold=6, edgeitems=2, precision=4, separator=", ")
    else:
        try:
            text = repr(value)
        except Exception as problem:
            text = f"a {type(value).__name__} whose repr raises {type(problem).__name__}"
    text = " ".join(text.split())
    return text if len(text) <= limit else text[: limit - 1] + "…"


def kind(value: Any) -> str:
    """Returns what a value is, in words: "array of shape (2,) and dtype float64", "list of length 2", "int 3"."""
    if isinstance(value, np.ndarray):
        return f"array of shape {value.shape} and dtype {value.dtype}"
    if value is None:
        return "None"
    if isinstance(value, tuple | list | dict):
        return f"{type(value).__name__} of length {len(value)}"
    return f"{type(value).__name__} {short(value, 40)}"
