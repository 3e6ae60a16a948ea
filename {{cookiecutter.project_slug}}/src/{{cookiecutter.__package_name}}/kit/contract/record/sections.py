"""The sections of a record: what each probe writes."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from gymnasium import spaces

from .model import CallError, Episode
from .surroundings import Snapshot

WINDOWS = 4  # in which growth is measured
# Statistics of an episode are small, observations of its steps are not; NumPy keeps some freed objects for later.
LEAK_BYTES_PER_EPISODE, LEAK_BYTES_PER_STEP = 400, 60
LEAK_BYTES_IN_FEW_EPISODES = 20_000  # where only a few episodes could be played, caches are still filling


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
    unseen: list[str] = field(default_factory=list)  # parts of the observation that the policy doesn't get
    reset_parameters: dict[str, Any] | None = None  # their defaults; None where any keyword is taken
    numbers: dict[str, float] = field(default_factory=dict)  # of the config and the attributes
    shared: list[str] = field(default_factory=list)  # mutable class attributes and globals
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
    suspects: list[str] = field(default_factory=list)  # where chance may come from
    changed: list[str] = field(default_factory=list)  # attributes that differ between a used and a fresh copy


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
    line: str | None = None
    files: set[str] = field(default_factory=set)

    @property
    def leaks_memory(self) -> bool:
        """Tells whether each window has added more bytes than statistics of its episodes take."""
        least = LEAK_BYTES_IN_FEW_EPISODES * self.episodes
        if self.episodes >= 4:
            steps = self.steps // max(len(self.bytes) - 1, 1)
            least = max(LEAK_BYTES_PER_EPISODE * self.episodes, LEAK_BYTES_PER_STEP * steps)
        return keeps_growing(self.bytes, least)


def keeps_growing(levels: list[int], least: int) -> bool:
    """Tells whether each window, the first one aside, added at least so much."""
    steps = [after - before for before, after in zip(levels[1:], levels[2:], strict=False)]
    return len(steps) >= WINDOWS - 1 and all(step >= least for step in steps)


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
class VectorPlay:
    """A vector environment's own batches."""

    num_envs: int
    mode_text: str
    seeds: list[int]
    seeded: tuple[Any, Any]  # the observations of two resets with these seeds
    rows: list[Any]  # the first of them, copy by copy
    mode: str | None = None  # the name of its autoreset mode; None where metadata holds something else
    observation_space: Any = None
    first: tuple[Any, ...] = ()  # what the first step gave: observations, rewards, terminated, truncated
    is_inside: bool = True  # its observations lie in `observation_space`
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
