"""The tables of what checkers catch, miss and accuse."""

from collections import Counter
from collections.abc import Mapping
from itertools import product

from asking import BOTH, OURS, THEIRS, ZOO, with_both
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
    """Returns the README's tables: correct environments by library, mutants by model; and which ones aren't as hoped."""
    correct = [one for one in found if one["mistake"] is None]
    broken = [one for one in found if one["mistake"] is not None]
    wrong = [*_in_words(correct, "accused", "warned"), *_in_words(broken, "unclear", "missed")]
    return "\n\n".join([_by_library(correct), _by_model(broken), *wrong])


def _outcomes(one: Result) -> dict[str, str]:
    return with_both({name: said["outcome"] for name, said in one["checkers"].items()})


def _count(found: list[Result], name: str, outcome: str) -> int:
    return sum(_outcomes(one).get(name) == outcome for one in found)


def _by_library(found: list[Result]) -> str:
    """Returns how many correct environments each checker accuses, and of how many more it warns."""
    names = (*THEIRS.values(), BOTH, ZOO, OURS)
    lines = [f"| correct environments | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
    for library in (*dict.fromkeys(one["library"] for one in found), "all"):
        rows = [one for one in found if library in ("all", one["library"])]
        asked = {name: [one for one in rows if name in _outcomes(one)] for name in names}
        cells = [
            f"{_count(ones, name, 'accused')}, {_count(ones, name, 'warned')}{f' of {len(ones)}' * (library == 'all')}"
            if ones
            else ""
            for name, ones in asked.items()
        ]
        lines.append(f"| {library}, {len(rows)} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _by_model(found: list[Result]) -> str:
    """Returns how many mistakes each checker catches in each model, and how many it leaves unclear or misses in all."""
    models = list(dict.fromkeys(one["library"] for one in found))
    rows = {model: [one for one in found if one["library"] == model] for model in models}
    heads = [f"{model}, {len(rows[model])}" for model in models]
    lines = [f"| mistakes caught in | {' | '.join(heads)} | all, {len(found)} | unclear | missed |"]
    lines.append("|---" * (len(models) + 4) + "|")
    for name in (*THEIRS.values(), BOTH, OURS):
        cells = [_count(rows[model], name, "caught") for model in models]
        cells += [_count(found, name, outcome) for outcome in ("caught", "unclear", "missed")]
        lines.append(f"| {name} | {' | '.join(map(str, cells))} |")
    return "\n".join(lines)


def _in_words(found: list[Result], *outcomes: str) -> list[str]:
    """Returns, for each checker and outcome, which environments it is."""
    said = []
    for name, outcome in product((*THEIRS.values(), ZOO, OURS), outcomes):
        which = [one["environment"] for one in found if _outcomes(one).get(name) == outcome]
        said += [f"{name}, {outcome}: {', '.join(which)}"] if which else []
    return said
