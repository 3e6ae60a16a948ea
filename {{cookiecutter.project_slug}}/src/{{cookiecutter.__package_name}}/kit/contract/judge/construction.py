"""The constructor and its config: its arguments, its cost, and what it must leave alone."""

from collections.abc import Iterator

from ...spaces.membership import short
from ..record.model import Build, EnvRecord, NotJudged
from .registry import Finding, check

SLOW_SECONDS = 1.0
TAKES_CONFIG = "write def __init__(self, config=None, render_mode=None) and start with config = dict(config or {})"
GENERATORS = (("numpy_rng", "np.random"), ("python_rng", "random"))


@check(fix="write it and run this again", blocks=True)
def implemented(record: EnvRecord) -> Iterator[Finding]:
    """`reset` and `step` are written.

    As long as one of them raises NotImplementedError at its first call, nothing else can be judged or trained.
    """
    for episode in record.episodes[:1]:
        error = episode.error
        if error is not None and error.step <= 1 and "NotImplementedError" in error.kinds:
            name = f"{error.call}()"
            what = error.text.partition(" (action ")[0].removeprefix("NotImplementedError").removeprefix(": ")
            what = what.removeprefix(f"write {name}: ") or "raise NotImplementedError is all there is"
            yield Finding(f"{name} is still to be written: {what}", f"write {name} and run this again", error.where)


@check(fix=TAKES_CONFIG, at="__init__", blocks=True)
def constructor_takes_config(record: EnvRecord) -> Iterator[Finding]:
    """The constructor takes one config, as EnvContext and as plain dict.

    RLlib calls `Env(env_context)` in every env runner; tests, `evaluate` and exported policies pass a plain dict.
    An environment that takes only one of them, or none, fails in the other place.
    """
    builds = record.builds
    context, plain, none = (builds.get(name) for name in ("context", "plain", "none"))
    error = context.error if context else None
    if error is None:
        if plain is not None and plain.error is not None:
            text = (
                f"the constructor works only with RLlib's EnvContext; a plain dict as config fails: {plain.error.text}"
            )
            fix = 'write getattr(config, "worker_index", 0), and read keys with .get'
            yield Finding(text, fix, plain.error.where, blocks=False)
    elif plain is not None and plain.error is None:
        text = f"the constructor works with a plain dict but not with RLlib's EnvContext, a dict subclass: {error.text}"
        yield Finding(text, where=error.where)
    elif none is not None and none.error is None:
        text = f"the constructor takes no config argument, but RLlib calls it with one: {error.text}"
        yield Finding(text, where=error.where)
    else:
        text = f"the constructor with config {short(record.config)} raises {error.text}"
        yield Finding(text, "make the constructor work with this config; the exception tells the line", error.where)


@check(fix="write class MyEnv(gymnasium.Env), with `import gymnasium`, not the old `gym`", at="__init__", blocks=True)
def constructor_gives_env(record: EnvRecord) -> Iterator[str]:
    """The object inherits from gymnasium.Env.

    Wrappers, vectorisation and RLlib's env runner ask for it; what only looks like an environment fails late.
    """
    if not record.about.is_env:
        bases = record.about.bases
        name = bases[0].rpartition(".")[2]
        yield f"expected a gymnasium.Env, got {name}, which does not inherit from it ({', '.join(bases)})"


@check(fix='write config.get("key", default), or say in the docstring that it is required', at="__init__",
       severity="warning", quick=False)  # fmt: skip
def constructor_has_defaults(record: EnvRecord) -> Iterator[Finding]:
    """The constructor works without keys in the config.

    `gymnasium.make`, notebooks and tests make the environment without a config; a key without a default stops them.
    """
    if record.builds["context"].error and record.builds["plain"].error:
        raise NotJudged("the constructor takes no config")
    if "empty" not in record.defaults:
        raise NotJudged("the constructor is slow, or no second copy can be made")
    empty, none = record.defaults["empty"], record.defaults.get("None")
    if empty is not None:
        yield Finding(f"an empty config raises {empty.text}: a missing key has no default", where=empty.where)
    elif none is not None:
        text = "config=None is the declared default of the constructor, but it raises with it"
        yield Finding(text, "start with config = dict(config or {})")


@check(fix="write config=None and config = dict(config or {})", at="__init__")
def constructor_default_not_mutable(record: EnvRecord) -> Iterator[str]:
    """A default such as config={} is not written to.

    Python makes a default argument once: what one instance writes into it, all later instances see.
    """
    written = record.defaults.get("default written to")
    if written is not None:
        yield (
            f"the default argument config={written[0]} is written to: it is {written[1]} now, and shared by all "
            "instances that are made without a config"
        )


@check(fix="load what is big and read-only once per process (functools.lru_cache) or at the first reset()",
       at="__init__", severity="warning")  # fmt: skip
def constructor_fast(record: EnvRecord) -> Iterator[str]:
    """The constructor takes less than a second.

    Every copy in every env runner is constructed, and again after each restart and for each evaluation.
    """
    seconds = _main_build(record).seconds
    if seconds > SLOW_SECONDS:
        yield f"the constructor is slow: it took about {seconds:.0f} s, and every copy in every env runner pays that"


def _main_build(record: EnvRecord) -> Build:
    """Returns the first construction that worked."""
    found = next((b for b in (record.builds.get(n) for n in ("context", "plain", "none")) if b and not b.error), None)
    if found is None:
        raise NotJudged("the constructor raises")
    return found


@check(fix="draw from self.np_random after super().reset(seed=seed); never seed the global generator", at="__init__")
def constructor_without_side_effects(record: EnvRecord) -> Iterator[Finding]:
    """The constructor leaves the process alone: working directory, global random numbers, signal handlers.

    Copies share their process with each other, with RLlib and with the learner: a changed directory breaks every
    relative path after it, a seeded global generator makes all copies and all exploration repeat themselves.
    """
    before, after = _main_build(record).around
    if after.cwd != before.cwd:
        text = f"the constructor changes the working directory (os.chdir) from {before.cwd} to {after.cwd}"
        yield Finding(text, "use absolute paths, such as Path(__file__).parent / 'data'")
    built = [build for name in ("context", "plain") if (build := record.builds.get(name)) and not build.error]
    for name, label in GENERATORS:
        if getattr(before, name) == getattr(after, name):
            continue
        if len(built) == 2 and len({getattr(build.around[1], name) for build in built}) == 1:
            yield Finding(
                f"the constructor seeds the global generator of {label}: every copy and every other user of it "
                "repeats itself"
            )
        else:
            text = (
                f"the constructor draws from the global generator of {label}: the result depends on who else draws, "
                "not on the seed"
            )
            yield Finding(text, severity="warning")
    if after.signals != before.signals:
        text = "the constructor installs a signal handler for SIGINT or SIGTERM: Ray needs its own there"
        yield Finding(text, "install no signal handlers in an environment", severity="warning")
    if after.float_errors != before.float_errors:
        text = "the constructor calls np.seterr, which changes all NumPy code of the process"
        yield Finding(text, "write with np.errstate(...): around the lines that need it", severity="warning")


@check(fix='open the window in render(), when render_mode is "human"', at="__init__")
def constructor_opens_no_window(record: EnvRecord) -> Iterator[str]:
    """No window is opened as long as render_mode is None.

    Env runners have no display: the constructor would fail there, or open one window for each copy.
    """
    if record.about.render_mode is None:
        for toolkit in record.about.windows:
            yield f"the constructor opens a {toolkit} window although render_mode is None"


@check(fix="start with config = copy.deepcopy(dict(config or {})) and change only that", at="__init__")
def config_unchanged(record: EnvRecord) -> Iterator[Finding]:
    """The config that the constructor gets is not written to.

    All copies in one env runner are made from one config object: what one of them pops or appends, the next one
    gets, so copies differ from each other and from what the user asked for.
    """
    for key, (what, was, now, severe) in record.config_changes.items():
        values = {"changed": f"was {was}, now {now}", "removed": f"was {was}", "added": now}[what]
        text = f"the caller's config is written to: key {key!r} is {what} ({values}); copies share one config"
        yield Finding(text, severity="error" if severe else "warning")


@check(fix="correct the key, or let the constructor refuse unknown keys with a ValueError", at="__init__",
       severity="warning")  # fmt: skip
def config_keys_used(record: EnvRecord) -> Iterator[str]:
    """Every key of the config is read by the environment.

    A misspelt key is silently ignored and the default used: a whole run is then trained on the wrong task.
    """
    for key, near in record.unread_keys.items():
        hint = f"; did you mean {near!r}?" if near else ""
        yield f"config key {key!r} is never read: a misspelt key is silently ignored and the default used{hint}"
