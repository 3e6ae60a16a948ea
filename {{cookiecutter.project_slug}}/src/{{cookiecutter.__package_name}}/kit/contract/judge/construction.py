"""The constructor and its config: its arguments, its cost, and what it must leave alone."""

from ...spaces.membership import short
from ..record.env_record import EnvRecord
from ..record.model import Build, NotJudged
from .registry import Finding, Findings, check

SLOW_SECONDS = 1.0
TAKES_CONFIG = "write def __init__(self, config=None, render_mode=None) and start with config = dict(config or {})"
WRAP = "to train it, write a class of your own that takes one config and makes it"
OWN_RANDOM = "draw from self.np_random after super().reset(seed=seed); never seed the global generator"


@check(fix="write it and run this again", blocks=True)
def implemented(record: EnvRecord) -> Findings:
    """`reset` and `step` are written; as long as they are not, nothing else can be judged or trained."""
    for episode in record.episodes[:1]:
        error = episode.error
        if error is not None and error.step <= 1 and "NotImplementedError" in error.kinds:
            name = f"{error.call}()"
            what = error.text.partition(" (action ")[0].removeprefix("NotImplementedError").removeprefix(": ")
            what = what.removeprefix(f"write {name}: ") or "raise NotImplementedError is all there is"
            yield Finding(f"{name} is still to be written: {what}", f"write {name} and run this again", error.where)


@check(fix=TAKES_CONFIG, at="__init__", blocks=True)
def constructor_takes_config(record: EnvRecord) -> Findings:
    """The constructor takes one config: RLlib passes its EnvContext, tests and `evaluate` a plain dict."""
    context, plain, keywords = (record.builds.get(name) for name in ("context", "plain", "keywords"))
    error = context.error if context else None
    if error is None:
        if plain is not None and plain.error is not None:
            text = f"the constructor takes RLlib's EnvContext, but a plain dict as config raises {plain.error.text}"
            fix = 'write getattr(config, "worker_index", 0), and read keys with .get'
            yield Finding(text, fix, plain.error.where, blocks=False)
    elif plain is not None and plain.error is None:
        text = f"the constructor takes a plain dict, but RLlib's EnvContext, a dict subclass, raises {error.text}"
        yield Finding(text, where=error.where)
    elif keywords is not None and keywords.error is None:
        text = f"the constructor takes no config argument, but RLlib calls it with one: {error.text}"
        installed = "-packages" in (record.about.where.get("__init__") or "")
        yield Finding(text, WRAP, severity="warning") if installed else Finding(text, where=error.where)
    else:
        text = f"the constructor with config {short(record.config)} raises {error.text}"
        no_config = "unexpected keyword argument 'config'" in error.text
        yield Finding(text, TAKES_CONFIG if no_config else "make the constructor work with this config", error.where)


@check(fix="write class MyEnv(gymnasium.Env), with `import gymnasium`, not the old `gym`", at="__init__", blocks=True)
def constructor_gives_env(record: EnvRecord) -> Findings:
    """The object inherits from gymnasium.Env: wrappers and RLlib's env runner ask for it."""
    if not record.about.is_env:
        bases = record.about.bases
        zoo = "write a creator that wraps it, see kit/docs/environments.md" if "pettingzoo" in " ".join(bases) else None
        text = f"expected a gymnasium.Env, got {bases[0]}, which does not inherit from it ({', '.join(bases)})"
        yield Finding(text, zoo)


@check(fix='write config.get("key", default)', at="__init__", mild=True)
def constructor_has_defaults(record: EnvRecord) -> Findings:
    """The constructor works without keys in the config, as `gymnasium.make` and notebooks call it."""
    if record.builds["context"].error and record.builds["plain"].error:
        raise NotJudged("the constructor takes no config")
    if "empty" not in record.defaults:
        raise NotJudged("the constructor is slow, or no second copy can be made")
    empty = record.defaults["empty"]
    if empty is not None:
        yield Finding(f"an empty config raises {empty.text}: a missing key has no default", where=empty.where)


@check(fix="write config=None and config = dict(config or {})", at="__init__")
def constructor_default_not_mutable(record: EnvRecord) -> Findings:
    """A default such as config={} is not written to: all instances made without a config share it."""
    if "default written to" in record.defaults:
        was, now = record.defaults["default written to"]
        yield f"the default argument config={was} is written to and shared by all instances: it is {now} now"


@check(fix="load what is big once per process (functools.lru_cache)", at="__init__", mild=True)
def constructor_fast(record: EnvRecord) -> Findings:
    """The constructor takes less than a second: every copy in every env runner pays it, after each restart again."""
    seconds = _main_build(record).seconds
    if seconds > SLOW_SECONDS:
        yield f"the constructor is slow: it took about {seconds:.0f} s, and every copy in every env runner pays that"


def _main_build(record: EnvRecord) -> Build:
    """Returns the first construction that worked."""
    builds = [record.builds[name] for name in ("context", "plain", "keywords") if name in record.builds]
    for build in builds:
        if not build.error:
            return build
    raise NotJudged("the constructor raises")


@check(fix=OWN_RANDOM, at="__init__")
def constructor_without_side_effects(record: EnvRecord) -> Findings:
    """The constructor leaves the directory and the global random numbers alone: all copies share them."""
    before, after = _main_build(record).around
    if after.cwd != before.cwd:
        text = f"the constructor changes the working directory (os.chdir) from {before.cwd} to {after.cwd}"
        yield Finding(text, "use absolute paths, such as Path(__file__).parent / 'data'")
    if after.signals != before.signals:
        text = "the constructor installs a signal handler for SIGINT or SIGTERM; Ray needs its own there"
        yield Finding(text, "install no signal handlers in an environment", severity="warning")
    if after.float_errors != before.float_errors:
        text = "the constructor calls np.seterr, which holds for all NumPy code of the process"
        yield Finding(text, "write with np.errstate(...): around the lines that need it", severity="warning")
    built = [record.builds[name] for name in ("context", "plain") if name in record.builds]
    for name, label in (("numpy_rng", "np.random"), ("python_rng", "random")):
        if getattr(before, name) == getattr(after, name):
            continue
        if len(built) == 2 and len({getattr(build.around[1], name) for build in built}) == 1:
            yield f"the constructor seeds the global generator of {label}: every user of it repeats itself"
        else:
            text = f"the constructor draws from the global generator of {label}, which the seed does not govern"
            yield Finding(text, severity="warning")


@check(fix='open the window in render(), when render_mode is "human"', at="__init__")
def constructor_opens_no_window(record: EnvRecord) -> Findings:
    """No window is opened as long as render_mode is None: env runners have no display."""
    for name in record.about.windows if record.about.render_mode is None else ():
        yield f"the constructor opens a {name} window although render_mode is None"


@check(fix="give it another name, such as self.settings", at="__init__", mild=True)
def spec_kept(record: EnvRecord) -> Findings:
    """`self.spec` is left to `gymnasium.make`, which writes the environment's registration there; wrappers read it."""
    if record.about.own_spec is not None:
        yield f"self.spec is set to {record.about.own_spec}: gymnasium.make puts its EnvSpec there, wrappers read that"


@check(fix="start with config = copy.deepcopy(dict(config or {})) and change only that", at="__init__")
def config_unchanged(record: EnvRecord) -> Findings:
    """The config is not written to: all copies are made from one object, and the next one gets what this one left."""
    for key, (what, was, now, severe) in record.config_changes.items():
        values = {"changed": f"was {was}, now {now}", "removed": f"was {was}", "added": now}[what]
        text = f"the caller's config is written to: key {key} is {what} ({values}); copies share one config"
        yield Finding(text, severity="error" if severe else "warning")


@check(fix="correct the key, or refuse unknown keys with a ValueError", at="__init__", mild=True)
def config_keys_used(record: EnvRecord) -> Findings:
    """Every key of the config is read: a misspelt key trains a whole run with the default."""
    for key, near in record.unread_keys.items():
        hint = f"; did you mean {near!r}?" if near else ""
        yield f"config key {key!r} is never read: a misspelt key is silently ignored and the default used{hint}"
