"""Several copies in one process and in others: they can be made, share nothing, and agree."""

import numpy as np
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import iterate

from ...spaces.membership import kind, short
from ..record.compare import difference
from ..record.env_record import EnvRecord
from ..record.model import NotJudged
from ..record.policies import RANDOM
from ..record.values import same
from .registry import ANY, NEVER, Finding, Findings, check
from .seeds import fresh_copies_agree, rounding

FILE_ERRORS = ("FileNotFound", "No such file", "ModuleNotFound")


@check(fix="give each copy its own port (0 lets the system choose), file and display; a device that is there once "
       "needs only_one=True in registration.py", at="__init__")  # fmt: skip
def copies_can_be_made(record: EnvRecord) -> Findings:
    """A second copy can be made while the first one lives: an env runner holds many."""
    second = record.builds.get("second")
    if second is None:
        raise NotJudged("the constructor raises, or one copy is all there may be")
    if second.error is not None:
        text = f"a second copy (instance) cannot be made while the first one is open: {second.error.text}"
        yield Finding(text, where=second.error.where)
    elif second.same_object:
        yield Finding("the constructor returns the same instance again: all share one state", "return a new object")


@check(fix="keep all state in self, set in __init__ and reset()", at="__init__", after="spaces_same_in_copies")
def copies_do_not_interfere(record: EnvRecord) -> Findings:
    """Two copies that are stepped in turns play as each does alone: they share no state."""
    fresh_copies_agree(record)
    replays = record.replays
    pairs = [(replays.alone, replays.mixed_new)]
    repeated = next((e for e in record.resets if e.seed == 1 and e.policy.label == RANDOM.label), None)
    if difference(replays.alone, replays.again) is None and repeated is not None:
        pairs.append((repeated, replays.mixed_old))
    for alone, mixed in pairs:
        found = difference(alone, mixed)
        if found is not None and found.rounding is not None:
            yield rounding("an episode stepped in turns with another copy", found)
        elif found is not None:
            names = ", ".join(replays.shared[:4])
            hint = f"class-level or global: {names}" if names else "class attribute, module global, file?"
            shown = found.shown("alone", "in turns")
            text = f"copies share state ({hint}): stepped in turns with another instance, one gives another {shown}"
            yield Finding(text, f"keep it in self, set in __init__ and reset(): look at {names}" if names else None)
            return


@check(fix="draw what differs from self.np_random, or pass it as an option of reset()", at="__init__", mild=True,
       after="reset_seeds_np_random same_seed_same_episode copies_do_not_interfere")  # fmt: skip
def copies_play_alike(record: EnvRecord) -> Findings:
    """A seed gives the same episode on each copy, whatever its worker_index and vector_index: evaluation has others."""
    replays = record.replays
    found = difference(replays.alone, replays.indexed) if replays.indexed is not None else None
    if found is not None and found.rounding is None:
        shown = found.shown("on one copy", "on one with another worker_index and vector_index")
        yield f"episodes depend on which copy plays them: with the same seed and actions, {shown}"


@check(fix="close only what this instance opened itself", at="close")
def copies_close_alone(record: EnvRecord) -> Findings:
    """Closing one copy leaves the others working: `pygame.quit()` in `close` takes it from all."""
    error = record.closed_alone
    if error is not None:
        yield Finding(f"closing one copy breaks another: {error.call}() raises {error.text}", where=error.where)


@check(fix="put a unique name into the path (tempfile.mkdtemp())", at="__init__", mild=True)
def copies_write_own_files(record: EnvRecord) -> Findings:
    """Two copies do not write to the same file: they would overwrite each other's data."""
    for path in record.shared_files[:1]:
        yield f"all copies write to the same file {path}: they overwrite each other's data"


@check(fix="nothing, if you only train: PPO makes each copy where it runs; else drop it in __getstate__", at="__init__",
       mild=True)  # fmt: skip
def env_can_be_pickled(record: EnvRecord) -> Findings:
    """The environment holds no lock, socket or open file, which not even cloudpickle copies; tree search needs copies."""
    if record.unpicklable is not None:
        culprit, why = record.unpicklable
        yield f"the environment cannot be pickled or copied because of {culprit}: {why}"


@check(fix="use no state of this process, machine or directory",
       after="implemented reset_signature reset_works step_works step_returns copies_can_be_made")  # fmt: skip
def works_elsewhere(record: EnvRecord) -> Findings:
    """The environment can be made in another process and directory, where Ray starts env runners."""
    if not record.has("about"):
        raise NotJudged("it cannot be made at all")
    troubles = [trouble for replica in record.replicas if (trouble := _trouble(replica))]
    for call, text, where in troubles[:1]:
        if any(name in text for name in FILE_ERRORS):
            text = f"works only in the current working directory: in another one {call} raises {text}"
            yield Finding(text, "write Path(__file__).parent / 'file' instead of the relative path 'file'", where)
        elif "Address already in use" in text:
            text = f"a copy in a second process cannot be made while the first is open: {text}"
            yield Finding(text, "let each copy have its own port, file and display", where)
        else:
            yield Finding(f"in another process and directory, {call} raises {text}, here it does not", where=where)


def _trouble(replica: EnvRecord) -> tuple[str, str, str | None] | None:
    """Returns what raised in another process: the call, the exception's text, and where."""
    if replica.has("usage"):
        return "the import", *replica.usage
    builds = vars(replica).get("builds", {})
    error = builds["context"].error if "context" in builds else None
    if error is not None and all(build.error for build in builds.values()):
        return "the constructor", error.text, error.where
    error = replica.replica.error if replica.has("replica") else None
    return (f"{error.call}()", error.text, error.where) if error is not None and error.step <= 1 else None


@check(fix="return one row a copy, with the dtype of the space (batch_space(single, num_envs))", at="step",
       several=NEVER)  # fmt: skip
def vector_batches(record: EnvRecord) -> Findings:
    """A vector environment returns one row a copy: RLlib takes the batches apart."""
    vector = record.vector
    if not vector.observation_space.contains(vector.first[0]):
        space = short(vector.observation_space)
        yield f"the batch of observations, {kind(vector.first[0])}, is not in observation_space {space}"
    for name, dtype, value in zip(("rewards", "terminated", "truncated"), "fbb", vector.first[1:], strict=True):
        if not isinstance(value, np.ndarray) or value.shape != (vector.num_envs,) or value.dtype.kind != dtype:
            dtype = "float" if dtype == "f" else "bool"
            yield f"{name} must be an array of shape ({vector.num_envs},) and dtype {dtype}, got {kind(value)}"


@check(fix="seed one generator for each copy from its seed", at="reset", several=NEVER)
def vector_copies_have_own_seeds(record: EnvRecord) -> Findings:
    """Copies with different seeds differ, and a list of seeds is honoured copy by copy."""
    vector = record.vector
    if vector.num_envs < 2 or len(set(record.starts.seeded)) < 3:
        raise NotJudged("one copy, or episodes do not depend on the seed")
    if not same(*vector.seeded):
        yield "reset(seed=[...]) with the same seeds gave different observations the second time: not reproducible"
    first, *others = iterate(vector.observation_space, vector.seeded[0])
    if vector.num_envs >= 4 and all(same(first, other) for other in others):
        yield f"all {vector.num_envs} copies start alike although their seeds differ: they repeat the same episode"


@check(fix="in that step only reset the copy, and return reward 0 and False", at="step", once=True, several=NEVER)
def vector_autoreset_as_declared(record: EnvRecord) -> Findings:
    """`metadata["autoreset_mode"]` is set, and the copies are reset in that way: RLlib reads it."""
    vector, before = record.vector, np.zeros(record.vector.num_envs, bool)
    if not isinstance(vector.mode, AutoresetMode):
        text = f'metadata["autoreset_mode"] is {short(vector.mode)}; expected a gymnasium.vector.AutoresetMode'
        yield Finding(text, 'write metadata = {"autoreset_mode": AutoresetMode.NEXT_STEP, ...}', at="__init__")
    for number, (rewards, done, has_final) in enumerate(vector.steps, 1):
        wrong = before & (done | (rewards != 0))
        if vector.mode is AutoresetMode.NEXT_STEP and wrong.any():
            index = int(np.argmax(wrong))
            got = f"reward {rewards[index]} and done={bool(done[index])} at step {number}"
            yield f"autoreset_mode is NEXT_STEP, but copy {index}, whose episode had ended, got {got}; expected 0, False"
        if vector.mode is AutoresetMode.SAME_STEP and done.any() and not has_final:
            text = f'autoreset_mode is SAME_STEP, but infos has no "final_obs" at step {number}, where an episode ended'
            yield Finding(text, 'put the last observations into infos["final_obs"]')
        before = done


@check(fix="the exception tells which value of the copies could not be merged", at="step", after=ANY, several=NEVER)
def vector_works(record: EnvRecord) -> Findings:
    """Copies can be stepped together: their infos merge and their observations stack, as training needs it."""
    if record.stacked is not None:
        yield Finding(f"copies in a gymnasium SyncVectorEnv raise {record.stacked.text}", where=record.stacked.where)
