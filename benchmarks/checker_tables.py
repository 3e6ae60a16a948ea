"""The tables of what checkers catch, miss and accuse."""

from collections import Counter
from collections.abc import Mapping

from results import Result


def collection(counts: Mapping[str, Counter[str]]) -> str:
    """Returns the table of a collection: a checker a line, from how often each outcome came."""
    lines = [
        "| checker | caught | unclear | missed | correct, no error | of these warned |",
        "|---|---|---|---|---|---|",
    ]
    for name, count in counts.items():
        bugs = count["caught"] + count["unclear"] + count["missed"]
        good = count["clean"] + count["warned"] + count["accused"]
        lines.append(
            f"| {name} | {count['caught']} of {bugs} | {count['unclear']} | {count['missed']} | "
            f"{count['clean'] + count['warned']} of {good} | {count['warned']} |"
        )
    return "\n".join(lines)


def tables(found: list[Result]) -> str:
    """Returns the README's tables: correct environments by library, mutants by model; then what ours missed."""
    correct = [one for one in found if one["mistake"] is None]
    broken = [one for one in found if one["mistake"] is not None]
    parts = [_by_library(correct), _by_model(broken), *_in_words(correct, "accused", "warned")]
    return "\n\n".join([*parts, *_in_words(broken, "unclear", "missed")])


def _names(found: list[Result]) -> list[str]:
    """Returns the checkers, in the order of their first appearance; PettingZoo's tests stand for both of the others."""
    return list(dict.fromkeys(name for one in found for name in one["checkers"]))


def _count(found: list[Result], name: str, outcome: str) -> int:
    return sum(one["checkers"].get(name, {}).get("outcome") == outcome for one in found)


def _by_library(found: list[Result]) -> str:
    """Returns how many correct environments each checker accuses, and of how many it warns."""
    names = _names(found)
    lines = [f"| correct environments | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
    libraries = list(dict.fromkeys(one["library"] for one in found))
    for library in [*libraries, None]:
        rows = [one for one in found if library in (None, one["library"])]
        cells = []
        for name in names:
            asked = sum(name in one["checkers"] for one in rows)
            cells.append(f"{_count(rows, name, 'accused')}, {_count(rows, name, 'warned')}" if asked else "")
        lines.append(f"| {library or 'all'}, {len(rows)} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _by_model(found: list[Result]) -> str:
    """Returns how many mistakes each checker catches in each model, and how many it leaves unclear or misses in all."""
    names, models = _names(found), list(dict.fromkeys(one["library"] for one in found))
    rows = {model: [one for one in found if one["library"] == model] for model in models}
    heads = [f"{model}, {len(rows[model])}" for model in models]
    lines = [f"| mistakes caught in | {' | '.join(heads)} | of all {len(found)} | unclear | missed |"]
    lines.append("|---" * (len(models) + 4) + "|")
    for name in names:
        cells = [str(_count(rows[model], name, "caught")) for model in models]
        cells += [str(_count(found, name, outcome)) for outcome in ("caught", "unclear", "missed")]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _in_words(found: list[Result], *outcomes: str) -> list[str]:
    """Returns, for each checker and outcome, which environments it is."""
    said = []
    for name in _names(found):
        for outcome in outcomes:
            which = [one["environment"] for one in found if one["checkers"].get(name, {}).get("outcome") == outcome]
            said += [f"{name}, {outcome}: {', '.join(which)}"] if which else []
    return said
