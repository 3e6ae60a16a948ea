"""Probes that call the environment in unusual ways: other arguments, other orders, `close`, pickling."""

from contextlib import suppress
from typing import Any

from ...spaces.views import View
from .compare import difference
from .locations import attributes, described, unwrapped
from .model import CallError, NotJudged
from .policies import RANDOM
from .recorder import Recorder
from .surroundings import quietly, seed_global


def record_seeding(recorder: Recorder) -> dict[str, Any]:
    """Resets with options, and with a seed that nobody else uses; looks what becomes of the generators."""
    env, plain = recorder.env, unwrapped(recorder.env)
    with recorder.heartbeat.calling("reset") as call:
        env.reset(seed=1, options={})
    facts: dict[str, Any] = {"ignored": None, "reseeds": [], "options": call.error, "differs": None}
    for options in ({}, {"unknown": 0}) if call.error is None else ():  # an empty dict is often taken for None
        seed_global(71)
        plays = [recorder.start(env, 1) for _ in range(2)]
        for play in plays:
            play.episode.options = options
        one, two = (play.run(3) for play in plays)
        if one.error is None and two.error is None:
            facts["differs"] = facts["differs"] or difference(one, two)
    for name in ("numpy_rng", "python_rng"):
        if any(episode.touched(name) for episode in recorder.episodes) and _reseeds(recorder, name):
            facts["reseeds"].append(name)
    recorder.play(env, 12345, 0)
    generator: Any = getattr(plain, "_np_random", None)
    if hasattr(generator, "bit_generator") and getattr(plain, "_np_random_seed", None) != 12345:
        state = str(generator.bit_generator.state)
        recorder.play(env, 12345, 0)
        recorder.play(env, 12345, 0)
        if str(generator.bit_generator.state) != state and getattr(plain, "_np_random", None) is generator:
            facts["ignored"] = repr(getattr(plain, "_np_random_seed", None))
    return facts


def _reseeds(recorder: Recorder, name: str) -> bool:
    """Tells whether two resets with one seed leave the global generator in one state, whatever it was before."""
    states = []
    for start in (101, 202):
        seed_global(start)
        states.append(getattr(recorder.play(recorder.env, 3, 0).around[-1], name))
    return states[0] == states[1]


def record_self_reset(recorder: Recorder) -> tuple[int, str]:
    """Counts the resets that `step` makes by itself; returns the count and where the first was."""
    ended = [episode for episode in recorder.episodes if episode.ended and episode.seed is not None]
    if not ended:
        raise NotJudged("no episode ended")
    env = recorder.another()
    plain, inside = unwrapped(env), [0]
    original = plain.reset

    def counted(*arguments: Any, **keywords: Any) -> Any:
        inside[0] += 1
        return original(*arguments, **keywords)

    try:
        plain.reset = counted
    except AttributeError as error:
        raise NotJudged("the environment has fixed attributes") from error
    shortest = min(ended, key=lambda episode: len(episode.steps))
    seed_global(66)
    policies = [shortest.policy, RANDOM, *recorder.constant_policies(2)]
    for index, policy in enumerate(policies[: recorder.plan.resets], 1):
        cap = max(recorder.plan.small, len(shortest.steps) if index == 1 else 0)
        episode = recorder.play(env, shortest.seed, cap, policy, number=index)
        if inside[0] > index:
            return inside[0] - index, episode.at(len(episode.steps))
    recorder.release(env)
    return 0, ""


def record_closing(recorder: Recorder) -> dict[str, CallError | None]:
    """Closes copies twice, also before the first reset."""
    found: dict[str, CallError | None] = {}
    for when, resets in (("before the first reset", 0), ("twice", 1)):
        env = recorder.another()
        for _ in range(resets):
            recorder.heartbeat.call("reset")
            quietly(env.reset)
        with recorder.heartbeat.calling("close") as first:
            env.close()
        with recorder.heartbeat.calling("close") as second:
            env.close()
        found[when] = first.error or second.error
    return found


def record_closed_alone(recorder: Recorder) -> CallError | None:
    """Closes one of two copies; returns what the other raises then."""
    one, two = recorder.another(), recorder.another()
    before = recorder.play(one, 9, 2).error
    recorder.release(two)
    after = recorder.play(one, 9, 2).error
    recorder.release(one)
    return after if before is None else None


def record_shared_files(recorder: Recorder) -> list[str]:
    """Plays two copies; returns the files that both have written to."""
    written, copies = [], [recorder.another(), recorder.another()]
    for seed, env in enumerate(copies):
        start = len(recorder.events.written)
        recorder.play(env, seed, 3)
        written.append(set(recorder.events.written[start:]))
    recorder.release(*copies)
    return sorted(path for path in written[0] & written[1] if "__pycache__" not in path)


def record_pickling(recorder: Recorder) -> tuple[str, str] | None:
    """Pickles what the environment holds, as Ray does; returns which lock, file or socket can't be, and why."""
    import cloudpickle  # late: the quick checks do without

    env = recorder.env if isinstance(recorder.env, View) else unwrapped(recorder.env)  # wrappers may hold functions
    recorder.play(env, 13, 2)
    with suppress(BaseException):
        cloudpickle.dumps(env)  # with its own __getstate__, if it has one
        return None
    for name, value in attributes(env).items():
        try:
            cloudpickle.dumps(value)
        except BaseException as error:
            inner = next(iter(value), value) if isinstance(value, list | tuple | set) else value
            if type(inner).__module__ in ("_thread", "threading", "_io", "socket"):
                return f"self.{name}, a {type(inner).__name__}", described(error)
    return None
