"""Calls of the environment as they are recorded: what they were given and what they gave back."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from .locations import described, raised
from .policies import Policy
from .surroundings import Snapshot


class NotJudged(Exception):
    """Raised where there is nothing to look at; its text says why."""


class CallError(NamedTuple):
    """A call of the environment that raised."""

    call: str  # "__init__", "reset", "step", "render" or "close"
    step: int  # of the episode; 0 for all but `step`
    text: str  # the exception's type and text, on one line
    where: str | None  # "file:line" of the deepest line of the user's
    kinds: tuple[str, ...]  # the names of the exception's classes

    @classmethod
    def of(cls, call: str, error: BaseException, step: int = 0, about: str = "") -> "CallError":
        """Returns what is to be known of an exception; `about` is added to its text."""
        kinds = tuple(kind.__name__ for kind in type(error).__mro__)
        return cls(call, step, described(error) + about, raised(error), kinds)


@dataclass
class Step:
    """What one `step` got and gave."""

    action: Any
    obs: Any
    reward: Any = 0.0
    terminated: Any = False
    truncated: Any = False
    info: str | None = None  # what it is, where it is no dict
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
    info: str | None = None
    mask: Any = None
    has_reset: bool = False
    steps: list[Step] = field(default_factory=list)
    ended: bool = False
    error: CallError | None = None
    malformed: dict[str, str] = field(default_factory=dict)  # what `reset` or `step` returned that is no such tuple
    reset_seconds: float = 0.0
    around: list[Snapshot] = field(default_factory=list)  # before the reset, after it, after the last step
    overwritten: int | None = None  # the first step whose observation changed after it was returned
    info_overwritten: int | None = None
    info_largest: tuple[int, Any, int] = (0, None, 0)  # bytes, key, step
    info_odd_key: tuple[int, str] | None = None  # step, what is odd about a key or the type of its values
    info_unpicklable: tuple[int, Any, str] | None = None  # step, key, why

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

    def touched(self, name: str) -> bool:
        """Tells whether a field of the Snapshots around this episode changed."""
        return len({getattr(shot, name) for shot in self.around}) > 1
