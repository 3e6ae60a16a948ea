"""Finds the folder of a trained policy: by a run's name, a folder or nothing. It needs no torch, so that a misspelt name is told at once."""

import difflib
import json
from pathlib import Path

from ..errors import UsageError

RUNS = Path("runs")
SWEEP = "sweep.lock"  # in the folder of a sweep, whose runs lie in it
BEST, LAST = "best", "last"  # the checkpoints of a run
POLICY = "policy"  # the folder in a checkpoint
FACTS, WEIGHTS = "policy.json", "policy.safetensors"  # its files
OPPONENTS = "opponents"  # in a run's folder; in it a folder of policies for each snapshot, named by its steps
POLICIES = "policies.json"  # instead of these, beside the folders of the policies of several agents
_MOST_NAMES = 10  # that are listed


def find_policy(given: str | None, env_id: str | None = None) -> Path:
    """Returns the folder of a policy.

    Args:
        given: a run's name or folder (then its best checkpoint), a checkpoint, a policy folder, or None for the newest
            run.
        env_id: of the environment whose runs are the newest and the suggested; None for any.

    Raises:
        UsageError: there is no policy there; the message says what there is instead.
    """
    bases = [newest_run(env_id)] if given is None else [Path(given), RUNS / given]
    for base in bases:
        checkpoints = (base / "checkpoints" / which for which in (BEST, LAST))
        for folder in (base, base / POLICY, *(checkpoint / POLICY for checkpoint in checkpoints)):
            if facts_file(folder).is_file():
                return folder
    for base in bases:
        if base.exists():
            raise UsageError(_what_it_is(base))
    raise no_run(str(given), env_id)


def facts_file(folder: Path) -> Path:
    """Returns the file that says what a policy, or those of several agents, are of."""
    several = folder / POLICIES
    return several if several.is_file() else folder / FACTS


def policies_in(folder: Path) -> dict[str, Path]:
    """Returns the folders of the policies of several agents, by name; nothing of a single agent."""
    return {path.parent.name: path.parent for path in sorted(folder.glob(f"*/{FACTS}"))}


def no_run(name: str, env_id: str | None = None) -> UsageError:
    """Returns the error for a run that isn't there, with what there is."""
    return UsageError(f"there is no run {name!r}{_guess(name, env_id)}")


def newest_run(env_id: str | None = None) -> Path:
    """Returns the folder of the run, of an environment or of any, that was started last.

    Raises:
        UsageError: there is none.
    """
    if not (runs := _runs(env_id)):
        what = f"of {env_id} " if _runs() else ""
        raise UsageError(f"there is no run {what}in {RUNS.resolve()} yet; start one with train")
    return runs[0]


def env_of(run: Path) -> str | None:
    """Returns the id of the environment that a run is of; None where there is no run, or its config.json is damaged."""
    try:
        return str(json.loads((run / "config.json").read_text(encoding="utf-8"))["env_id"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def place_of(folder: Path) -> Path:
    """Returns where what is made of a policy goes: its run's folder, else the one that the policy's lies in."""
    above = folder.parents[1:3]  # of one policy of several, there is a folder more
    return next((path.parent for path in above if path.name == "checkpoints"), folder.parent)


def _runs(env_id: str | None = None) -> list[Path]:
    """Lists the folders of the runs, of an environment or of any, the newest first."""
    configs = sorted(RUNS.glob("*/config.json"), key=lambda path: path.stat().st_mtime, reverse=True)
    return [path.parent for path in configs if env_id is None or env_of(path.parent) in (None, env_id)]


def _guess(name: str, env_id: str | None) -> str:
    runs = [run.name for run in _runs(env_id)]
    if not runs:
        return f", nor any other in {RUNS.resolve()} yet; start one with train"
    near = difflib.get_close_matches(name, runs, n=1)
    guess = f"did you mean {near[0]!r}? The" if near else "the"
    more = f" and {len(runs) - _MOST_NAMES} more" if len(runs) > _MOST_NAMES else ""
    return f"; {guess} runs are: {', '.join(runs[:_MOST_NAMES])}{more}"


def _what_it_is(base: Path) -> str:
    """Says why a folder or file that is there holds no policy."""
    if any(base.glob("**/rllib_checkpoint.json")):
        return (
            f"{base} is a checkpoint without the folder {POLICY!r}: RLlib's own, or of an older version of the kit. It "
            "holds pickled code, which is not loaded; train the policy again with this version"
        )
    if (base / "config.json").is_file():
        return f"{base} has no checkpoint yet; wait for its first iteration, or go on with it by train --resume"
    return f"{base} is neither a run nor a checkpoint nor a policy; give a run's name, or a folder with a {FACTS}"
