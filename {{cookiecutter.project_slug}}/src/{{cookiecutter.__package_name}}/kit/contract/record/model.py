"""What is recorded, as data: the calls of the environment, its episodes, and what each probe writes."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from gymnasium import spaces

from .locations import described, raised
from .policies import Policy
from .surroundings import Snapshot

WINDOWS = 4  # in which growth is measured


class NotJudged(Exception):
    """Raised where there is nothing to look at; its text says why, and begins with CUT if a thorough run would look."""

    CUT = "cut for time"


class CallError(NamedTuple):
    """A call of the environment that raised."""

    call: str  # "__init__", "reset", "step", "render" or "close"
    step: int  # of the episode; 0 for all but `step`
    text: str  # the exception's type and text, on one line
    where: str | None  # "file:line" of the deepest line of the user's
    kinds: tuple[str, ...]  # the names of the exception's classes
    action: Any = None  # that `step` got

    @classmethod
    def of(cls, call: str, error: BaseException, step: int = 0) -> "CallError":
        """Returns what is to be known of an exception."""
        kinds = tuple(kind.__name__ for kind in type(error).__mro__)
        return cls(call, step, described(error), raised(error), kinds)


@dataclass
class Step:
    """What one `step` got and gave."""

    action: Any
    obs: Any
    reward: Any = 0.0
    terminated: Any = False
    truncated: Any = False
    seconds: float = 0.0
    mask: Any = None  # the action mask in the observation or info
    action_after: Any = None  # the caller's action, where `step` has changed it


@dataclass
class Episode:
    """A reset and the steps after it; step 0 is the reset."""

    number: int
    policy: Policy
    seed: int | None
    obs: Any = None
    mask: Any = None
    has_reset: bool = False
    steps: list[Step] = field(default_factory=list)
    ended: bool = False
    error: CallError | None = None
    malformed: dict[str, str] = field(default_factory=dict)  # what `reset` or `step` returned that is no such tuple
    reset_seconds: float = 0.0
    around: list[Snapshot] = field(default_factory=list)  # before the reset, after it, after the last step
    options: Any = None  # of the reset
    info_largest: tuple[int, Any, int] = (0, None, 0)  # bytes, key, step
    faults: dict[str, tuple[int, str]] = field(default_factory=dict)  # of returned objects: the first step, in words

    def at(self, step: int) -> str:
        """Returns a place in this episode, in words."""
        return f"{'in reset()' if step == 0 else f'at step {step}'} of {self.name}"

    @property
    def name(self) -> str:
        """The episode in words."""
        return f"episode {self.number} ({self.policy.label}, {'no seed' if self.seed is None else f'seed {self.seed}'})"

    def observations(self) -> Iterator[tuple[int, Any]]:
        """Yields (step, observation), the reset's first."""
        yield from enumerate([self.obs, *(step.obs for step in self.steps)] if self.has_reset else ())

    def touched(self, name: str) -> list[str]:
        """Returns the calls, of "reset" and "step", during which a field of the Snapshots changed."""
        values = [getattr(shot, name) for shot in self.around]
        return [call for call, old, new in zip(("reset", "step"), values, values[1:], strict=False) if old != new]


@dataclass
class Build:
    """One call of the constructor."""

    around: tuple[Snapshot, Snapshot]  # before and after
    seconds: float = 0.0
    error: CallError | None = None
    same_object: bool = False  # it returned the first environment again


@dataclass
class About:
    """What the environment says of itself, without being played."""

    where: dict[str, str | None] = field(default_factory=dict)  # "file:line" of its methods
    bases: list[str] = field(default_factory=list)  # the full names of its classes
    is_env: bool = True
    is_vector: bool = False
    metadata: Any = None
    render_mode: Any = None
    has_render: bool = False
    windows: list[str] = field(default_factory=list)  # toolkits with an open window, after the constructor
    spaces: dict[str, Any] = field(default_factory=dict)
    space_errors: dict[str, str] = field(default_factory=dict)  # why one can't be read
    new_spaces: list[str] = field(default_factory=list)  # those that are another object at each access
    samples: dict[str, tuple[Any, bool] | str] = field(default_factory=dict)  # and whether it is inside; or an error
    foreign: list[str] = field(default_factory=list)  # a third party's, which no judge knows
    adapters: str | None = None  # why the adapters can't take the spaces
    unseen: dict[str, str] = field(default_factory=dict)  # by path: what the policy doesn't get
    reset_parameters: dict[str, Any] | None = None  # their defaults; None where any keyword is taken
    numbers: dict[str, float] = field(default_factory=dict)  # of the config, the attributes and the time limit
    own_spec: str | None = None  # what the user's source sets self.spec to
    uses_order: bool = False  # the source uses sets or hashes, whose order differs from process to process

    def declared(self) -> Iterator[tuple[str, Any]]:
        """Yields the spaces that are Gymnasium spaces, with their names."""
        yield from ((name, space) for name, space in self.spaces.items() if isinstance(space, spaces.Space))


@dataclass
class Replays:
    """The same seeds and actions on other copies."""

    alone: Episode  # seed 0 on a second, fresh copy
    again: Episode  # seed 0 once more on that copy, after an episode that was broken off
    mixed_old: Episode  # seed 1 on the second copy, in turns with ...
    mixed_new: Episode  # ... seed 0 on a third, fresh copy
    indexed: Episode | None = None  # seed 0 on a copy with another worker_index and vector_index
    suspects: list[str] = field(default_factory=list)  # where chance may come from
    changed: list[str] = field(default_factory=list)  # what a used copy has otherwise after `reset`, likely ones first
    shared: list[str] = field(default_factory=list)  # what all copies share, and has changed


@dataclass
class Starts:
    """Fingerprints of episodes: checksums of the first observations under fixed actions."""

    seeded: list[tuple[int, ...]] = field(default_factory=list)
    unseeded: list[tuple[int, ...]] = field(default_factory=list)
    fresh: list[tuple[int, ...]] = field(default_factory=list)  # on copies that never got a seed


@dataclass
class Growth:
    """What was open or allocated after each window of episodes."""

    episodes: int  # in a window
    steps: int = 0
    counts: dict[str, list[int]] = field(default_factory=dict)
    bytes: list[int] = field(default_factory=list)
    line: str | None = None  # that has allocated most
    files: set[str] = field(default_factory=set)  # written and still there


@dataclass
class Rendered:
    """One episode that was rendered in one mode."""

    mode: Any  # a text, or None
    episode: Episode
    mode_kept: Any = None  # what `env.render_mode` was
    frames: list[Any] = field(default_factory=list)  # copies of the first
    overwritten: bool = False  # one of them changed after it was returned
    error: CallError | None = None  # of the constructor, or of `render`


@dataclass
class Batches:
    """A vector environment's own batches."""

    num_envs: int
    mode: Any  # what metadata says of the automatic resets
    observation_space: Any
    first: tuple[Any, ...]  # what the first step gave: observations, rewards, terminated, truncated
    seeded: tuple[Any, Any]  # the observations of two resets with the same seeds, another for each copy
    steps: list[tuple[Any, Any, bool]] = field(default_factory=list)  # rewards, ended, whether infos had "final_obs"


class Stop(NamedTuple):
    """How a recorder ended before its time."""

    why: str  # "exit", "hang" or "memory"
    code: int  # the exit code, or the bytes of memory
    call: str
    step: int = 0
    context: str = ""  # the episode or the probe, in words
    probe: str = ""
    where: str | None = None  # "file:line" of the user's, if the stack is known
    seconds: float = 0.0
