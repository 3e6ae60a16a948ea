"""Writes a trained policy into one ONNX file, which needs neither this project nor Ray nor torch."""

import hashlib
from collections.abc import Iterator, Sequence
from functools import reduce
from importlib.util import find_spec
from operator import getitem
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from ..cli import Parser
from ..errors import RunError, UsageError
from ..files import write_bytes
from ..policy.find import WEIGHTS, find_policy, place_of
from ..spaces.actions import fill, scaling_of, values_of
from ..spaces.adapters import ACTION_MASK, is_masked
from ..spaces.images import is_image
from ..spaces.observations import leaves, seen_leaves
from ..spaces.predicate import without_float_bounds
from ..task import Task

if TYPE_CHECKING:
    from ..policy.base import BasePolicy
    from ..policy.policy import Policy

_PACKAGES = ("onnx", "onnxruntime", "onnxscript")
_CHECKED = 1000  # observations
_BATCH = 64
_TOLERANCE = 1e-5


def main(task: Task, arguments: Sequence[str] | None = None) -> int:
    """Exports a policy, compares the file with it, and returns the exit code.

    Raises:
        UsageError: the options, or the policy's spaces, can't be used.
        RunError: the file would not act as the policy does, or can't be written.
    """
    command = task.command("export")
    parser = Parser(prog=command, description=__doc__, epilog=f"example: {command} first --onnx robot/policy.onnx")
    parser.add_argument("policy", nargs="?", help="a run's name, or a folder (default: the newest run's best)")
    parser.add_argument("--onnx", type=Path, metavar="PATH", help="default: policy.onnx in the run's folder")
    options = parser.parse_args(arguments)
    if missing := [name for name in _PACKAGES if find_spec(name) is None]:
        raise UsageError(f'export needs {" and ".join(missing)}; pip install -e ".[export]"')
    folder = find_policy(options.policy, task.env_id)
    path: Path = options.onnx or place_of(folder) / "policy.onnx"
    if path.is_dir() or not path.parent.is_dir():
        raise UsageError(f"--onnx {path}: give a file in a folder that is there")
    from ..policy.folder import load_folder  # late: torch takes a second
    from ..policy.onnx_file import OnnxPolicy
    from ..policy.to_onnx import to_onnx

    policy = load_folder(folder)
    model = to_onnx(policy, {"weights_sha256": hashlib.sha256((folder / WEIGHTS).read_bytes()).hexdigest()})
    try:
        difference = difference_of(policy, OnnxPolicy(model))
    except Exception as error:  # it has no code for some dtypes
        raise RunError(f"onnxruntime can't run this policy: {' '.join(str(error).split())[:200]}") from None
    if not difference <= _TOLERANCE:  # NaN neither
        raise RunError(f"nothing is written: what onnxruntime makes of {folder} acts differently, by {difference:.2g}")
    try:
        write_bytes(path, model)
    except OSError as error:
        raise RunError(f"{path} can't be written: {error}") from None
    print(f"{path}: {len(model):,} bytes, acts as the policy does on {_CHECKED:,} observations")
    return 0


def difference_of(policy: "Policy", other: "BasePolicy") -> float:
    """Returns by how much the outputs of the networks would have to differ for what another policy does, at most.

    The larger of two logits decides; where they are as good as the same, either action is right. In a number that is
    rounded to an integer it is the same.
    """
    policy.observation_space.seed(0)
    differences = []
    for count in np.diff([*range(0, _CHECKED, _BATCH), _CHECKED]):
        observations = [draw(policy) for _ in range(count)]
        outputs = policy.outputs(observations).double().numpy()
        for actions in (policy.batch(observations), other.batch(observations), [other(one) for one in observations]):
            differences += [each.max() for each in _differences(policy, outputs, actions)]
    return float(np.max(differences))


def _differences(policy: "Policy", outputs: np.ndarray, actions: Sequence[Any]) -> Iterator[np.ndarray]:
    """Yields the differences, relative to 1 + the output, of shape (batch, ...)."""
    choice, real = 0, sum(policy.actor.logits)
    for path, leaf in leaves(policy.action_space):
        done = np.array([reduce(getitem, path, action) for action in actions]).reshape(len(actions), -1)
        if (values := values_of(leaf)) is not None:
            for count, chosen in zip(values[0], (done - values[1].reshape(-1)).T, strict=True):
                logits = outputs[:, choice : choice + count]
                of_chosen = np.where(chosen[:, None] == np.arange(count), logits, -np.inf).max(-1)
                yield (logits.max(-1) - of_chosen) / (1 + np.abs(logits.max(-1)))
                choice += count
        else:
            scale, centre, low, high = scaling_of(leaf)  # type: ignore[arg-type]
            wanted = np.clip(outputs[:, real : real + len(scale)] * scale + centre, low, high)
            is_float = done.dtype.kind == "f"
            rounding = np.spacing(np.abs(wanted).astype(done.dtype)) if is_float else 0.5
            scale = np.maximum(scale, np.finfo(np.float64).tiny)
            yield np.maximum(np.abs(done - wanted) - rounding, 0) / (scale + np.abs(wanted - centre))
            real += len(scale)


def draw(policy: "Policy") -> Any:
    """Draws an observation: any in its space, on the edges, with floats far outside, with what a mask may be."""
    seen = [path for path, _ in seen_leaves(policy.observation_space)]
    parts: Iterator[Any] = (
        (_mask(policy, leaf) if path == (ACTION_MASK,) and is_masked(policy.adapters.seen) else _any_of(leaf))
        if path in seen
        else None  # of a kind that only its own package knows
        for path, leaf in leaves(policy.observation_space)
    )
    return fill(policy.observation_space, parts)


def _mask(policy: "Policy", leaf: gym.Space[Any]) -> np.ndarray:
    counts = np.array(policy.actor.logits)
    mask = leaf.np_random.random(counts.sum()) < 0.5
    mask[np.cumsum(counts) - counts + leaf.np_random.integers(counts)] = True
    return mask.astype(leaf.dtype)


def _any_of(leaf: gym.Space[Any]) -> Any:
    sample = leaf.sample()
    if not isinstance(leaf, spaces.Box):
        return sample
    random, far = leaf.np_random, sample
    if sample.dtype.kind == "f" and not is_image(leaf):
        widest = without_float_bounds(leaf)
        far = np.clip(sample * np.power(10.0, random.uniform(0, 30)), widest.low, widest.high)
    edges = [np.where(np.isfinite(edge), edge, sample) for edge in (leaf.low, leaf.high)]
    which = random.integers(4, size=leaf.shape if random.random() < 0.5 else ())
    return np.choose(which, [sample, *edges, far]).astype(sample.dtype)
