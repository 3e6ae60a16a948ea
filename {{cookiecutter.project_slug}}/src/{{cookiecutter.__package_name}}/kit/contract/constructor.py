"""The constructor: its arguments, its cost and what it must leave alone."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Iterator
from typing import Any

import gymnasium

from ..spaces.membership import short
from .building import NO_CONFIG
from .registry import Finding, NotJudged, check, error, warning
from .study import Study

SLOW_SECONDS = 1.0


@check()
def implemented(study: Study) -> Iterator[Finding]:
    """`reset` and `step` are written.

    As long as one of them raises NotImplementedError at its first call, nothing else can be judged or trained.
    """
    for episode in study.recorded.episodes[:1]:
        trouble = episode.trouble
        if trouble is not None and trouble.step <= 1 and isinstance(trouble.problem, NotImplementedError):
            text = " ".join(str(trouble.problem).split()) or "raise NotImplementedError is all there is"
            name = f"{trouble.call}()"
            message = f"{name} is still to be written: {text.removeprefix(f'write {name}: ')}"
            yield error(message, f"write {name} and run this again", trouble.where)


@check()
def constructor_takes_config(study: Study) -> Iterator[Finding]:
    """The constructor takes one config, as EnvContext and as plain dict.

    RLlib calls `Env(env_context)` in every env runner; tests, `evaluate` and exported policies pass a plain dict.
    An environment that takes only one of them, or none, fails in the other place.
    """
    context = study.context.trouble
    fix = "write def __init__(self, config=None, render_mode=None) and start with config = dict(config or {})"
    if context is None:
        if not study.slow_to_build and study.plain.trouble is not None and not study.only_one:
            text = (
                "the constructor works only with RLlib's EnvContext; a plain dict as config fails: "
                f"{study.plain.trouble.text}"
            )
            yield error(
                text, 'write getattr(config, "worker_index", 0), and read keys with .get', study.plain.trouble.where
            )
    elif study.plain.env is not None:
        text = (
            f"the constructor works with a plain dict but not with RLlib's EnvContext, a dict subclass: {context.text}"
        )
        yield error(text, fix, context.where)
    elif study.without.env is not None:
        text = f"the constructor takes no config argument, but RLlib calls it with one: {context.text}"
        yield error(text, fix, context.where or study.where("__init__"))
    else:
        text = f"expected an environment from the constructor with config {short(study.config)}, got {context.text}"
        yield error(text, "make the constructor work with this config; the exception tells the line", context.where)


@check()
def constructor_gives_env(study: Study) -> Iterator[Finding]:
    """The object inherits from gymnasium.Env.

    Wrappers, vectorisation and RLlib's env runner ask for it; what only looks like an environment fails late.
    """
    env = study.env
    if isinstance(env, gymnasium.Env | gymnasium.vector.VectorEnv):
        return
    bases = ", ".join(f"{base.__module__}.{base.__name__}" for base in type(env).__mro__[:-1])
    text = f"expected an instance of gymnasium.Env, got {type(env).__name__}, which does not inherit from it ({bases})"
    yield error(
        text, "write class MyEnv(gymnasium.Env), with `import gymnasium`, not the old `gym`", study.where("__init__")
    )


@check(quick=False)
def constructor_has_defaults(study: Study) -> Iterator[Finding]:
    """The constructor works without keys in the config.

    `gymnasium.make`, notebooks and tests make the environment without a config; a key without a default stops them.
    """
    if study.built.env is study.without.env if "without" in vars(study) else False:
        raise NotJudged("the constructor takes no config")
    if study.slow_to_build or study.only_one:
        raise NotJudged("the constructor is slow, or no second copy can be made")
    empty = study.build({}) if study.config else study.built
    if empty.trouble is not None:
        text = f"an empty config raises {empty.trouble.text}: a missing key has no default"
        yield warning(
            text, 'write config.get("key", default), or say in the docstring that it is required', empty.trouble.where
        )
        return
    parameter = _config_parameter(study.maker)
    if parameter is not None and parameter.default is None and study.build(None).trouble is not None:
        text = "config=None is the declared default of the constructor, but it raises with it"
        yield warning(text, "start with config = dict(config or {})", study.where("__init__"))


def _config_parameter(maker: Any) -> inspect.Parameter | None:
    try:
        parameters = list(inspect.signature(maker).parameters.values())
    except (TypeError, ValueError):
        return None
    return parameters[0] if parameters else None


@check()
def constructor_default_not_mutable(study: Study) -> Iterator[Finding]:
    """A default such as config={} is not written to.

    Python makes a default argument once: what one instance writes into it, all later instances see.
    """
    parameter = _config_parameter(study.maker)
    default = parameter.default if parameter is not None else None
    if not isinstance(default, dict | list | set):
        return
    kept = copy.deepcopy(default)
    study.build(NO_CONFIG)
    if kept != default:
        text = (
            f"the mutable default argument config={short(kept)} is written to: it is {short(default)} now and is "
            "shared by "
            "all instances that are made without a config"
        )
        yield error(text, "write config=None and config = dict(config or {})", study.where("__init__"))


@check()
def constructor_fast(study: Study) -> Iterator[Finding]:
    """The constructor takes less than a second.

    Every copy in every env runner is constructed, and again after each restart and for each evaluation.
    """
    seconds = study.built.seconds
    if seconds > SLOW_SECONDS:
        text = f"the constructor is slow: it took about {seconds:.0f} s, and every copy in every env runner pays that"
        fix = "load what is big and read-only once per process (functools.lru_cache) or at the first reset()"
        yield warning(text, fix, study.where("__init__"))
