"""`reset`: its signature and what it returns. What it must forget is in `determinism`."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

from ..spaces.membership import kind, short
from .locations import described, raised, unwrapped
from .registry import Finding, NotJudged, check, error, warning
from .study import Study


@check()
def reset_signature(study: Study) -> Iterator[Finding]:
    """`reset` takes the keywords seed and options, both None by default.

    Vector environments call `reset(seed=..., options=...)`; a default seed makes all episodes equal.
    """
    reset = getattr(type(unwrapped(study.env)), "reset", None)
    try:
        parameters = inspect.signature(reset).parameters if reset else {}
    except (TypeError, ValueError):
        return
    if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        return
    fix = "write def reset(self, *, seed=None, options=None) and start with super().reset(seed=seed)"
    missing = [name for name in ("seed", "options") if name not in parameters]
    if missing:
        study.cache["reset signature"] = True
        text = (
            f"reset() accepts no {' and no '.join(missing)} argument: vector environments call it with these keywords"
        )
        yield error(text, fix, study.where("reset"))
    for name in ("seed", "options"):
        default = parameters[name].default if name in parameters else None
        if default is inspect.Parameter.empty:
            study.cache["reset signature"] = True
            yield error(f"the {name} argument of reset() has no default: it is required", fix, study.where("reset"))
        elif name == "seed" and default is not None:
            text = (
                f"the default of seed is {default!r} in reset(): every reset without a seed starts the same episode "
                "again; "
                "expected None"
            )
            yield warning(text, fix, study.where("reset"))


@check()
def reset_works(study: Study) -> Iterator[Finding]:
    """`reset` does not raise, with a seed, without one, first or in the middle of an episode.

    An exception in an env runner ends the training.
    """
    seen: set[tuple[str | None, str]] = set()
    for episode in study.recorded.episodes:
        trouble = episode.trouble
        if trouble is None or trouble.call != "reset":
            continue
        if isinstance(trouble.problem, NotImplementedError) and episode.number == 1:
            raise NotJudged(f"reset() is still to be written: {trouble.text}")
        if study.cache.get("reset signature") and "argument" in trouble.text:
            raise NotJudged("see reset_signature")
        if (trouble.where, type(trouble.problem).__name__) not in seen:
            seen.add((trouble.where, type(trouble.problem).__name__))
            what = "ends the process" if isinstance(trouble.problem, SystemExit) else "raises"
            text = f"reset() {what} {trouble.text} {episode.at(0).replace('in reset() of', 'in')}"
            yield error(text, _advice(trouble.text), trouble.where)


def _advice(text: str) -> str:
    if "randint" in text or "rand'" in text:
        return "np_random is a numpy Generator: write self.np_random.integers(low, high) and .random()"
    if "NoneType" in text:
        return "options is None by default: write options = options or {} and read it with .get"
    if "seed" in text and "argument" in text:
        return "write def reset(self, *, seed=None, options=None)"
    return "reset() must work at any time and any number of times; the exception tells the line"


@check()
def reset_returns(study: Study) -> Iterator[Finding]:
    """`reset` returns the tuple (observation, info).

    With the old API, which returned the observation alone, its first two entries are taken apart instead.
    """
    episode = study.episodes[0]
    if episode.malformed_reset is not None:
        text = f"reset() must return a tuple (observation, info) of length 2, got {kind(episode.malformed_reset)}"
        yield error(text, "write return observation, {}", study.where("reset"))


@check()
def reset_takes_options(study: Study) -> Iterator[Finding]:
    """`reset(options={})` works.

    Evaluation and curricula pass options; vector environments always pass the keyword.
    """
    _ = study.episodes
    study.pulse.call("reset")
    try:
        study.env.reset(seed=1, options={})
    except BaseException as problem:
        if "argument" in str(problem):
            raise NotJudged("see reset_signature") from problem
        text = f"reset(seed=1, options={{}}) raises {described(problem)}: options must be accepted, also empty"
        yield error(text, "write options = options or {} and read it with .get", raised(problem))


@check()
def reset_seeds_np_random(study: Study) -> Iterator[Finding]:
    """`reset(seed=...)` seeds `self.np_random` where the environment draws from it.

    Without `super().reset(seed=seed)` the seed is ignored: no episode can be repeated, no run reproduced.
    """
    _ = study.steps_played
    env = unwrapped(study.env)
    study.pulse.call("reset")
    try:
        study.env.reset(seed=12345)
    except BaseException as problem:
        raise NotJudged(described(problem)) from problem
    generator = getattr(env, "_np_random", None)
    if generator is None or getattr(env, "_np_random_seed", None) == 12345 or not hasattr(generator, "bit_generator"):
        return
    state = str(generator.bit_generator.state)
    for _ in range(2):
        study.env.reset(seed=12345)
    if str(generator.bit_generator.state) != state and getattr(env, "_np_random", None) is generator:
        seed = getattr(env, "_np_random_seed", None)
        text = (
            f"reset(seed=12345) does not seed np_random (its seed is {short(seed)}) although reset() draws from "
            "it: the seed is ignored, episodes are not reproducible"
        )
        study.cache["seed ignored"] = True
        yield error(text, "start reset() with super().reset(seed=seed)", study.where("reset"))
