"""The policy in a file that `export` has written: onnxruntime computes it, and its metadata hold the spaces."""

import json
from collections.abc import Sequence
from functools import reduce
from operator import getitem
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium import spaces

from ..errors import UsageError
from ..spaces.actions import fill
from ..spaces.observations import leaves, seen_leaves
from .base import BasePolicy, adapters_of


class OnnxPolicy(BasePolicy):
    """The most likely actions of an exported policy; raises all kinds of exceptions for a file that isn't one."""

    def __init__(self, model: bytes) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # errors
        self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        properties = self._session.get_modelmeta().custom_metadata_map
        facts = {name: json.loads(value) for name, value in properties.items()}
        super().__init__(adapters_of(facts), facts)
        seen = seen_leaves(self.observation_space)
        self._inputs = [(one.name, *leaf) for one, leaf in zip(self._session.get_inputs(), seen, strict=True)]
        self._actions = [leaf for _, leaf in leaves(self.action_space)]

    def _act(self, observations: Sequence[Any], deterministic: bool) -> list[Any]:
        if not deterministic:
            raise ValueError("an exported file holds the most likely actions only; load the run itself to draw others")
        given = {
            name: np.array([reduce(getitem, path, one) for one in observations], leaf.dtype)
            for name, path, leaf in self._inputs
        }
        parts = zip(self._actions, self._session.run(None, given), strict=True)
        rows = [
            list(part) if isinstance(leaf, spaces.Discrete) else list(map(np.asarray, part)) for leaf, part in parts
        ]
        return [fill(self.action_space, iter(actions)) for actions in zip(*rows, strict=True)]


def load_onnx(path: Path) -> OnnxPolicy:
    """Loads an exported policy.

    Raises:
        UsageError: onnxruntime is missing, or this is no such file.
    """
    try:
        return OnnxPolicy(path.read_bytes())
    except ImportError:
        raise UsageError(f'{path} needs onnxruntime; pip install -e ".[export]"') from None
    except Exception as error:  # anyone may have written the file
        what = f"{type(error).__name__}: {error}".split()
        raise UsageError(f"{path} is no policy that export has written: {' '.join(what)[:200]}") from None
