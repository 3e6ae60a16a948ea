"""The info dict: a dict, small, picklable, and not one that changes afterwards."""

from collections.abc import Iterator

from ..record.model import EnvRecord
from .registry import Finding, check

LARGE_BYTES = 100_000


def _call(number: int) -> str:
    return "step" if number else "reset"


@check(fix="return {} where there is nothing to tell", blocks=True)
def info_type(record: EnvRecord) -> Iterator[Finding]:
    """`reset` and `step` return a dict as info.

    Vector environments merge the infos of all copies key by key.
    """
    for episode in record.resets:
        for number, info in episode.infos():
            if isinstance(info, str):
                yield Finding(f"info must be a dict, got {info} {episode.at(number)}", at=_call(number))
                return


@check(fix="put only small numbers into info; write frames in render()", severity="warning")
def info_small(record: EnvRecord) -> Iterator[Finding]:
    """An info weighs less than 100 kB.

    RLlib keeps the infos of whole episodes and sends them from the env runners to the learner.
    """
    for episode in record.resets:
        size, key, number = episode.info_largest
        if size > LARGE_BYTES:
            text = (
                f"info has {size / 1e6:.1f} MB {episode.at(number)}, most of it in key {key!r}; RLlib keeps the infos "
                f"of whole episodes, 4,000 steps are {size * 4e-6:.1f} GB"
            )
            yield Finding(text, at=_call(number))
            return


@check(fix="put numbers, texts and arrays into info, no functions, locks or open files")
def info_picklable(record: EnvRecord) -> Iterator[Finding]:
    """Infos can be pickled.

    They travel from the env runners to the learner with the episode; what cannot be pickled ends the training there.
    """
    for episode in record.resets:
        if episode.info_unpicklable is not None:
            number, key, why = episode.info_unpicklable
            yield Finding(f"info[{key!r}] {episode.at(number)} {why}", at=_call(number))
            return


@check(fix="build a new dict each time, with copies of arrays", severity="warning")
def info_not_overwritten(record: EnvRecord) -> Iterator[Finding]:
    """A returned info does not change afterwards.

    RLlib stores infos by reference: one dict that is reused makes all stored infos those of the last step.
    """
    for episode in record.played:
        number = episode.info_overwritten
        if number is not None:
            yield Finding(
                f"the info returned {episode.at(number)} was overwritten in place afterwards", at=_call(number)
            )
            return


@check(fix="leave the key out where there is no value", severity="warning")
def info_keys_plain(record: EnvRecord) -> Iterator[Finding]:
    """Info keys are texts, and a key holds the same type at every step.

    Vector environments keep one array a key: a number first and a text later raises in the middle of training.
    """
    kinds: dict[str, tuple[str, str]] = {}
    for episode in record.resets:
        for number, info in episode.infos():
            for key, kind in info.items() if isinstance(info, dict) else ():
                if not isinstance(key, str):
                    text = f"info key {key!r} is a {type(key).__name__}, not a str, {episode.at(number)}"
                    yield Finding(text, "use texts as keys", at=_call(number))
                    return
                first, place = kinds.setdefault(key, (kind, episode.at(number)))
                if first != kind and "number" in (first, kind):
                    text = f"info[{key!r}] is a {first} {place} but a {kind} {episode.at(number)}: its type changes"
                    yield Finding(text, at=_call(number))
                    return
