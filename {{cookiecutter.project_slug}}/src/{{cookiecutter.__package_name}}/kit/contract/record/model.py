"""The record of one environment: what its constructor, `reset`, `step`, `render` and `close` were given and gave back.

A record is data only: judges look at it in another process, and a unit test builds one in memory.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from gymnasium import spaces

from .locations import described, raised
from .plan import Plan
from .policies import Policy
from .surroundings import Snapshot

WINDOWS = 4  # in which growth is measured
LEAK_BYTES_PER_EPISODE = 400  # statistics of an episode are small; observations of all its steps are not
LEAK_BYTES_PER_STEP = 60  # the smallest array weighs more; freed objects that NumPy keeps for later weigh less
LEAK_BYTES_IN_FEW_EPISODES = 20_000  # where only a few episodes could be played, caches are still filling


class NotJudged(Exception):
    """Raised where there is nothing to look at; its text says why."""


class CallError(NamedTuple):
    """A call of the environment that raised.

    Attributes:
        call: "__init__", "reset", "step", "render" or "close".
        step: the step of the episode, 0 for all but `step`.
        text: the exception's type and text, on one line.
        where: "file:line" of the deepest line of the user's.
        kinds: the names of the exception's classes.
    """

    call: str
    step: int
    text: str
    where: str | None
    kinds: tuple[str, ...]

    @classmethod
    def of(cls, call: str, error: BaseException, step: int = 0, about: str = "") -> "CallError":
        """Returns what is to be known of an exception; `about` is added to its text."""
        kinds = tuple(kind.__name__ for kind in type(error).__mro__)
        return cls(call, step, described(error) + about, raised(error), kinds)


@dataclass
class Step:
    """What one `step` got and gave.

    Attributes:
        info: the coarse type of each key's value; a text that says what the info is, where it is no dict.
        mask: the action mask in the observation or info.
        action_after: the caller's action, where `step` has changed it.
    """

    action: Any
    obs: Any
    reward: Any = 0.0
    terminated: Any = False
    truncated: Any = False
    info: dict[Any, str] | str = field(default_factory=dict)
    seconds: float = 0.0
    mask: Any = None
    action_after: Any = None


@dataclass
class Episode:
    """A reset and the steps after it.

    Attributes:
        malformed: what `reset` or `step` returned, by the method's name, where it was no tuple of the right length.
        around: the process before the reset, after it, and after the last step.
        overwritten: the first step whose observation changed after it was returned; 0 is the reset.
        info_overwritten: the same for infos.
        info_largest: (bytes, key, step) of the largest info looked at.
        info_unpicklable: (step, key, why) of the first that can't be pickled.
    """

    number: int
    policy: Policy
    seed: int | None
    obs: Any = None
    info: dict[Any, str] | str = field(default_factory=dict)
    mask: Any = None
    has_reset: bool = False
    steps: list[Step] = field(default_factory=list)
    ended: bool = False
    error: CallError | None = None
    malformed: dict[str, str] = field(default_factory=dict)
    reset_seconds: float = 0.0
    around: list[Snapshot] = field(default_factory=list)
    overwritten: int | None = None
    info_overwritten: int | None = None
    info_largest: tuple[int, Any, int] = (0, None, 0)
    info_unpicklable: tuple[int, Any, str] | None = None

    def at(self, step: int) -> str:
        """Returns a place in this episode, in words; step 0 is the reset."""
        call = "in reset()" if step == 0 else f"at step {step}"
        return f"{call} of {self.name}"

    @property
    def name(self) -> str:
        """The episode in words."""
        seed = "no seed" if self.seed is None else f"seed {self.seed}"
        return f"episode {self.number} ({self.policy.label}, {seed})"

    def observations(self) -> Iterator[tuple[int, Any]]:
        """Yields (step, observation), the reset's first."""
        if self.has_reset:
            yield 0, self.obs
        for index, step in enumerate(self.steps, 1):
            yield index, step.obs

    def infos(self) -> Iterator[tuple[int, Any]]:
        """Yields (step, info), the reset's first."""
        if self.has_reset:
            yield 0, self.info
        for index, step in enumerate(self.steps, 1):
            yield index, step.info

    def touched(self, name: str) -> bool:
        """Tells whether something around the environment changed in this episode; `name` is of a Snapshot's field."""
        return len({getattr(shot, name) for shot in self.around}) > 1


@dataclass
class Build:
    """One call of the constructor.

    Attributes:
        around: the process before and after it.
        same_object: whether it returned an environment that it had returned before.
    """

    around: tuple[Snapshot, Snapshot]
    seconds: float = 0.0
    error: CallError | None = None
    same_object: bool = False


@dataclass
class About:
    """What the environment says of itself, without being played.

    Attributes:
        where: "file:line" of the class's methods.
        bases: the full names of its classes, the most special first.
        spaces: the two declared spaces, or whatever stands there.
        space_errors: why one of them can't be read.
        new_spaces: the names of spaces that are another object at each access.
        samples: for each space a sample and whether it lies in the space, or why none can be drawn.
        foreign: paths of entries whose space is a third party's; no judge looks at them.
        adapters: why the adapters can't take the spaces.
        reset_parameters: the defaults of the parameters of `reset`; None if any keyword is taken.
        windows: toolkits that have opened a window.
        numbers: attributes that hold a number.
        shared: mutable class attributes and globals.
        uses_order: whether its source uses sets or hashes, whose order differs from process to process.
    """

    where: dict[str, str | None] = field(default_factory=dict)
    bases: list[str] = field(default_factory=list)
    is_env: bool = True
    is_vector: bool = False
    metadata: Any = None
    render_mode: Any = None
    has_render: bool = False
    spaces: dict[str, Any] = field(default_factory=dict)
    space_errors: dict[str, str] = field(default_factory=dict)
    new_spaces: list[str] = field(default_factory=list)
    samples: dict[str, tuple[Any, bool] | str] = field(default_factory=dict)
    foreign: list[str] = field(default_factory=list)
    adapters: str | None = None
    reset_parameters: dict[str, Any] | None = None
    windows: list[str] = field(default_factory=list)
    numbers: dict[str, float] = field(default_factory=dict)
    shared: list[str] = field(default_factory=list)
    uses_order: bool = False

    def declared(self) -> Iterator[tuple[str, Any]]:
        """Yields the spaces that are Gymnasium spaces, with their names."""
        yield from ((name, space) for name, space in self.spaces.items() if isinstance(space, spaces.Space))


@dataclass
class Replays:
    """The same seeds and actions on other copies, and what was tried where they differ."""

    alone: Episode  # seed 0 on a second, fresh copy
    again: Episode  # seed 0 once more on that copy, after an episode that was broken off
    mixed_old: Episode  # seed 1 on the second copy, in turns with ...
    mixed_new: Episode  # ... seed 0 on a third, fresh copy
    only_seed_0: bool = False  # other seeds than 0 are repeated
    second_seed_ignored: bool = False  # a fresh copy that is reset twice follows the first of the two seeds
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
    """One episode that was rendered in one mode.

    Attributes:
        mode_kept: what `env.render_mode` was.
        frames: copies of the first frames.
        overwritten: whether a frame changed after it was returned.
        error: of the constructor, or of `render`.
    """

    mode: str
    episode: Episode
    mode_kept: Any = None
    frames: list[Any] = field(default_factory=list)
    overwritten: bool = False
    error: CallError | None = None


@dataclass
class VectorPlay:
    """A vector environment's own batches.

    Attributes:
        mode: the name of its autoreset mode; None where metadata holds something else.
        first: what the first step gave: observations, rewards, terminated, truncated.
        is_inside: whether the observations of the first step lie in `observation_space`.
        seeded: the observations of two resets with the list of seeds.
        rows: the first of them, copy by copy.
        steps: (rewards, whether each copy's episode ended, whether infos held "final_obs").
    """

    num_envs: int
    mode: str | None
    mode_text: str
    observation_space: Any
    is_inside: bool
    first: tuple[Any, ...]
    seeds: list[int]
    seeded: tuple[Any, Any]
    rows: list[Any]
    steps: list[tuple[Any, Any, bool]] = field(default_factory=list)


class Stop(NamedTuple):
    """How a recorder ended before its time.

    Attributes:
        why: "exit", "hang" or "memory".
        code: the exit code, or the bytes of memory.
        call: what was being called.
        step: of the episode.
        context: the episode or the probe, in words.
        probe: the probe's name.
        where: "file:line" of the user's, if the stack is known.
    """

    why: str
    code: int
    call: str
    step: int = 0
    context: str = ""
    probe: str = ""
    where: str | None = None
    seconds: float = 0.0


class EnvRecord:
    """Everything that was recorded of one environment; each attribute is a section, written by one probe.

    Reading a section that is missing raises NotJudged with the reason, so that a judge needs no test for it.
    """

    config: dict[str, Any]
    quick: bool
    cap: int | None  # steps that an episode may have, where a longer one ended the process
    builds: dict[str, Build]
    slow_to_build: bool
    about: About
    plan: Plan
    episodes: list[Episode]
    config_changes: dict[str, tuple[str, str, str, bool]]  # key: (what happened, was, now, whether it is an error)
    spaces_after: dict[str, tuple[str, str]]  # the spaces that changed while playing: what they were and are
    unread_keys: dict[str, str | None]  # key: the word that may be meant
    defaults: dict[str, Any]  # see record_defaults
    copies: dict[str, tuple[str | None, bool]]  # each space: another copy's that differs, whether all share one
    seeding: dict[str, Any]  # see record_seeding
    replays: Replays
    starts: Starts
    self_reset: tuple[int, str]
    closing: dict[str, CallError | None]
    released: dict[str, list[int]]
    shared_files: list[str]
    unpicklable: tuple[str, str] | None
    growth: Growth
    stacked: tuple[list[Episode], CallError | None]
    vector: VectorPlay
    replica: Episode
    rendered: list[Rendered]
    draws: bool
    warnings: dict[tuple[str, str], str]
    accidents: list[tuple[str, CallError]]  # (probe, exception) of the environment's where none may come
    stops: list[Stop]
    render_stop: Stop | None
    replicas: "list[EnvRecord]"
    changed_kit_files: list[str]
    usage: tuple[str, str | None]  # why there is no environment, and where

    def __init__(self, **sections: Any) -> None:
        self.config, self.quick, self.cap = {}, False, None
        self.warnings, self.accidents, self.stops, self.replicas = {}, [], [], []
        self.missing: dict[str, str] = {}
        vars(self).update(sections)

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            if name.startswith("__"):
                raise AttributeError(name)
            raise NotJudged(self.missing.get(name, f"{name} was not recorded"))

    def has(self, name: str) -> bool:
        """Tells whether a section was recorded."""
        return name in vars(self)

    def where(self, name: str) -> str | None:
        """Returns "file:line" of the user's reset, step, render or __init__."""
        return self.about.where.get(name) if self.has("about") else None

    def space(self, name: str) -> Any:
        """Returns a declared space; raises NotJudged if it is no Gymnasium space."""
        space = self.about.spaces.get(name)
        if not isinstance(space, spaces.Space):
            raise NotJudged(f"{name} is no Gymnasium space")
        return space

    @property
    def resets(self) -> list[Episode]:
        """The episodes; the first has been reset. Raises NotJudged if `reset` never worked."""
        if not self.episodes or not self.episodes[0].has_reset:
            error = self.episodes[0].error if self.episodes else None
            raise NotJudged(f"reset() raises: {error.text if error else ''}")
        return self.episodes

    @property
    def played(self) -> list[Episode]:
        """The episodes with at least one step. Raises NotJudged if no step could be made."""
        played = [episode for episode in self.resets if episode.steps]
        if not played:
            raise NotJudged("step() never worked")
        return played

    @property
    def finished(self) -> list[Episode]:
        """The episodes that ended, with flags that can be read. Raises NotJudged if there are too few."""
        ended = [episode for episode in self.played if episode.ended]
        if any("step" in episode.malformed for episode in ended):
            raise NotJudged("step() does not return both flags")
        if len(ended) < 3:
            raise NotJudged("fewer than three episodes ended")
        return ended
