"""What has come of a run, in three lines: what was learned, where it lies, what to type next."""

import time

from ..errors import RunError, UsageError, one_line
from ..files import write_json
from ..policy.find import find_policy
from ..policy.measure import SEED, compare, play
from ..task import Task
from .page import verdict, write_run
from .run_folder import EVALUATION, RunFolder

EPISODES, SECONDS = 20, 10.0  # of the evaluation: enough to tell a policy from chance, and soon over


def tell(task: Task, folder: RunFolder, is_whole: bool) -> None:
    """Prints the lines, and writes evaluation.json, learning_curve.png and report.html.

    Args:
        task: of the project.
        folder: of the run.
        is_whole: neither a signal nor a failure has ended it: there is time to evaluate the policy.

    Raises:
        OSError: a file can't be written.
    """
    (folder.path / EVALUATION).unlink(missing_ok=True)  # of an earlier start
    if not folder.has_checkpoint():
        print("nothing is learned yet: there is no checkpoint", flush=True)
        return
    name = folder.path.name
    evaluate, then = f"{task.command('evaluate')} {name}", f"{task.command('train')} --name {name} --resume"
    learned = f"not evaluated; {evaluate} does so"
    if is_whole:
        then = evaluate
        try:
            learned = _evaluate(task, folder)
        except KeyboardInterrupt:
            learned = "not evaluated: interrupted"
        except (Exception, SystemExit) as error:
            learned = f"not evaluated: {error if isinstance(error, (RunError, UsageError)) else one_line(error)}"
    print(f"learned: {learned}", flush=True)
    page, best = write_run(folder), find_policy(str(folder.path)).parent.relative_to(folder.path)
    print(f"it lies in {folder.path}: {page.name}, learning_curve.png, {best}")
    print(f"next: {then}", flush=True)


def _evaluate(task: Task, folder: RunFolder) -> str:
    """Plays a few fresh episodes with the best policy and with random actions; returns what is to be said of them."""
    policy = find_policy(str(folder.path))
    returns = play(task, policy, None, None, range(SEED, SEED + EPISODES), time.monotonic() + SECONDS)
    episodes = len(returns["policy"])
    if episodes < 2:
        raise RunError(f"two episodes take longer than {SECONDS:g} s")
    report = {"checkpoint": str(policy), "episodes": episodes, "seed": SEED, **compare(returns)}
    write_json(folder.path / EVALUATION, report)
    return verdict(report)
