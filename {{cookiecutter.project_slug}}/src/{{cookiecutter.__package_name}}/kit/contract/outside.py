"""What only the parent process can judge: crashes, hangs, other processes and other directories."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from .locations import in_stack_dump
from .pulse import Beat
from .registry import Finding, NotJudged, check, error


@dataclass
class Stop:
    """A child process that ended before its time or was ended."""

    why: str  # "exit", "hang" or "memory".
    code: int
    beat: Beat
    stack: str
    seconds: float


@dataclass
class Outcome:
    """What the parent knows when all children are done."""

    facts: dict[str, Any] = field(default_factory=dict)
    stops: list[Stop] = field(default_factory=list)
    replicas: list[dict[str, Any]] = field(default_factory=list)
    failed: set[str] = field(default_factory=set)

    def first_stops(self) -> list[Stop]:
        """The stops at different lines or in different calls."""
        stops = {(stop.why, self.where(stop), stop.beat.call): stop for stop in reversed(self.stops)}
        return [stop for stop in self.stops if stop in stops.values()]

    def where(self, stop: Stop) -> str | None:
        """The line of the user at which a child stopped, or where the called method begins."""
        return in_stack_dump(stop.stack) or self.facts.get(f"where {stop.beat.call}")


def _place(beat: Beat) -> str:
    if beat.call == "step":
        return f"in step(), at step {beat.step} of {beat.context}"
    if beat.call in ("start", "check"):
        return f"in {beat.context}"
    return f"in {beat.call}()" if beat.call != "import" else "while the module was imported"


@check(in_parent=True)
def process_survives(outcome: Outcome) -> Iterator[Finding]:
    """The environment does not end its process, nor eat its memory.

    Ray sees a dead env runner, restarts it, and it dies again; without restarts the whole training ends.
    """
    for stop in outcome.first_stops():
        if stop.why == "memory":
            text = (
                f"the environment used up the memory ({stop.code / 1e9:.0f} GB) {_place(stop.beat)}; the process "
                "was "
                "ended"
            )
            yield error(text, "look for a list that grows or an array that is far too large", outcome.where(stop))
        elif stop.why == "exit":
            how = f"signal {-stop.code} (a crash in native code)" if stop.code < 0 else f"exit code {stop.code}"
            text = f"the environment ended its process with {how} {_place(stop.beat)}"
            yield error(
                text,
                "raise an exception or return terminated=True; never call exit() or os._exit()",
                outcome.where(stop),
            )


@check(in_parent=True)
def calls_return(outcome: Outcome) -> Iterator[Finding]:
    """Every call of the environment returns.

    An env runner that hangs gives no samples; training waits for it without a message.
    """
    for stop in outcome.first_stops():
        if stop.why == "hang":
            where = outcome.where(stop)
            if stop.beat.call == "check" and in_stack_dump(stop.stack) is None:
                continue  # No line of the environment was running: a check took long.
            text = (
                f"the environment hangs {_place(stop.beat)}: no answer within {stop.seconds:.0f} s (an endless "
                "loop or "
                "a wait)"
            )
            yield error(text, "give every wait a timeout and every loop an end; `where` is the line it hung at", where)


@check(in_parent=True, quick=False)
def works_elsewhere(outcome: Outcome) -> Iterator[Finding]:
    """The environment can be made in another process with another working directory.

    Ray starts env runners and Tune trials in directories of their own: a data file that is opened by a relative
    path is not found there.
    """
    if not outcome.facts.get("built"):
        raise NotJudged("it cannot be made at all")
    if outcome.failed & {"implemented", "reset_signature", "reset_works", "step_works", "step_returns"}:
        raise NotJudged("reset() or step() does not work here either")
    for replica in outcome.replicas:
        trouble = replica.get("trouble")
        if trouble is None:
            continue
        if "copies_can_be_made" in outcome.failed:
            raise NotJudged("see copies_can_be_made")
        if "Address already in use" in trouble["text"]:
            text = f"a copy in a second process cannot be made while the first is open: {trouble['text']}"
            yield error(text, "let each copy have its own port, file and display", trouble["where"])
        elif (
            "FileNotFound" in trouble["text"]
            or "No such file" in trouble["text"]
            or "ModuleNotFound" in trouble["text"]
        ):
            text = (
                f"works only in the current working directory (cwd): in another one {trouble['call']} raises "
                f"{trouble['text']}; "
                "a relative path is looked up where the process happens to run"
            )
            yield error(text, "write Path(__file__).parent / 'file' instead of 'file'", trouble["where"])
        else:
            text = (
                f"in another process and working directory, {trouble['call']} raises {trouble['text']}, here it "
                "does "
                "not"
            )
            yield error(text, "use no state of this process, machine or directory", trouble["where"])
        return


@check(in_parent=True, quick=False)
def same_in_other_process(outcome: Outcome) -> Iterator[Finding]:
    """The same seed gives the same episode in another process, with another hash seed.

    The order of sets and `hash()` of texts change from process to process: actions or features then mean something
    else in each env runner, and in the exported policy.
    """
    unlike = {"same_seed_same_episode", "reset_seeds_np_random", "spaces_same_in_copies", "config_unchanged"}
    if outcome.failed & unlike:
        raise NotJudged("not even one process agrees with itself")
    ours = outcome.facts.get("trace")
    if ours is None:
        raise NotJudged("no episode was played")
    for replica in outcome.replicas:
        theirs = replica.get("trace")
        for number, (left, right) in enumerate(zip(ours, theirs or [], strict=False)):
            if left[0] != right[0]:
                place = f"at step {number}" if number else "in reset()"
                text = (
                    "not deterministic across processes: with seed 0 and the same actions another process gives "
                    f"{right[1]} "
                    f"instead of {left[1]} {place}; not reproducible (order of a set, hash(), id(), the time, the "
                    "process id?)"
                )
                fix = (
                    "sort sets before use (sorted(...)), use no hash() or id() of objects, and draw from self.np_random"
                )
                yield error(text, fix, outcome.facts.get("where step" if number else "where reset"))
                return
