"""The info dict: a dict, small, picklable, and not one that changes afterwards."""

from ..record.env_record import EnvRecord
from .registry import Finding, Findings, check, faults

LARGE_BYTES = 100_000


@check(fix="return {} where there is nothing to tell", blocks=True, once=True)
def info_type(record: EnvRecord) -> Findings:
    """`reset` and `step` return a dict as info, which vector environments merge key by key."""
    for episode in record.resets:
        for number, info in enumerate([episode.info, *(step.info for step in episode.steps)]):
            if info is not None:
                yield Finding(f"info must be a dict, got {info} {episode.at(number)}", at="step" if number else "reset")


@check(fix="put only small numbers into info; write frames in render()", mild=True, once=True)
def info_small(record: EnvRecord) -> Findings:
    """An info weighs less than 100 kB: RLlib keeps those of whole episodes and sends them to the learner."""
    for episode in record.resets:
        size, key, number = episode.info_largest
        if size > LARGE_BYTES:
            text = f"info has {size / 1e6:.1f} MB {episode.at(number)}, most of it in key {key!r}"
            yield Finding(f"{text}; 4,000 steps are {size * 4e-6:.1f} GB", at="step" if number else "reset")


@check(fix="put numbers, texts and arrays into info, no functions, locks or open files", once=True)
def info_picklable(record: EnvRecord) -> Findings:
    """Infos can be pickled: they travel from the env runners to the learner."""
    return faults(record, "info unpicklable")


@check(fix="build a new dict each time, with copies of arrays", mild=True, once=True)
def info_not_overwritten(record: EnvRecord) -> Findings:
    """A returned info does not change afterwards: RLlib stores it by reference."""
    return faults(record, "info overwritten")


@check(fix="use texts as keys, and leave a key out where there is no value", mild=True, once=True)
def info_keys_plain(record: EnvRecord) -> Findings:
    """Info keys are texts, and a key holds one type: vector environments keep an array for each."""
    return faults(record, "info keys")
