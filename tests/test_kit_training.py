"""The training room, where it lies: what is counted, what ends a run, and what goes on after a fault."""

import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
from conftest import PACKAGE
from kit.files import write_json
from kit.guard.failure import EnvironmentFailure
from kit.policy.find import BEST, LAST, POLICY
from kit.policy.find import FACTS as POLICY_FACTS
from kit.policy.folder import FORMAT
from kit.rllib import failure_report
from kit.rllib.sampled import SAMPLED, EpisodeCounter, Sampled
from kit.training import interrupt as module_of_interrupt
from kit.training.algorithm import RestartableAlgorithm
from kit.training.curve import draw_curve, y_limits
from kit.training.interrupt import Interrupt
from kit.training.loop import Loop, progress_row
from kit.training.options import TrainOptions
from kit.training.run_folder import RunFolder
from kit.training.status import Status, plateau_hint, reached
from kit.training.storage import Storage
from kit.training.summary import finish, seconds_to
from ray.exceptions import ActorDiedError

STEPS = 100  # of each iteration
LEARNER = {name: 0.5 for name in ("policy_loss", "vf_loss", "vf_explained_var", "entropy", "mean_kl_loss")}
SHORT = TrainOptions(max_env_steps=10 * STEPS)


def result(*sampled: Sampled) -> dict[str, Any]:
    """Returns RLlib's result of an iteration: it unwraps a list of one item."""
    found = list(sampled) if len(sampled) != 1 else sampled[0]
    return {"env_runners": {SAMPLED: found}, "learners": {"default_policy": LEARNER}}


@dataclass
class Chunk:
    """A part of an episode, as far as counting needs it."""

    id_: str
    rewards: list[float]
    is_done: bool

    def __len__(self) -> int:
        return len(self.rewards)

    def get_rewards(self) -> np.ndarray:
        return np.array(self.rewards)


@pytest.mark.parametrize("seed", range(20))
def test_episodes_are_counted_exactly_however_they_are_cut(seed: int) -> None:
    """Episodes of several copies, cut at random and counted together, as many calls of `sample` bring them."""
    dice, counter, whole, counted = random.Random(seed), EpisodeCounter(), [], Sampled()
    ongoing: dict[int, Chunk] = {}
    for _ in range(dice.randrange(1, 30)):
        chunks = []
        for copy in range(dice.randrange(1, 5)):
            before = ongoing.pop(copy, Chunk(str(dice.random()), [], False))
            part = Chunk(before.id_, [dice.gauss(0, 1) for _ in range(dice.randrange(1, 9))], dice.random() < 0.4)
            chunks.append(part)
            so_far = Chunk(before.id_, before.rewards + part.rewards, part.is_done)
            if part.is_done:
                whole.append(so_far.rewards)
            else:
                ongoing[copy] = so_far
        counted = Sampled.of(result(counted, counter.count(chunks)))
    totals = []
    for rewards in whole:
        total = 0.0
        for reward in rewards:
            total += reward
        totals.append(total)
    assert counted.returns == totals
    assert counted.lengths == [len(rewards) for rewards in whole]
    assert counted.env_steps == sum(counted.lengths) + sum(map(len, ongoing.values()))


@pytest.mark.parametrize("env_runners", [0, 1, 2, 3])
def test_one_line_and_one_episode_survive_rllibs_unwrapping(env_runners: int) -> None:
    one = Sampled(5, [1.5], [5], 2, ["the only line"])
    total = Sampled.of(result(*[one] * env_runners))
    assert total.returns == [1.5] * env_runners
    assert total.log_lines == ["the only line"] * env_runners
    assert (total.env_steps, total.observations_out_of_bounds) == (5 * env_runners, 2 * env_runners)


def test_status_moves_on_without_changing_the_one_before() -> None:
    before = Status()
    after = before.after(Sampled(STEPS, [1.0] * 19, [5] * 19), 2.0)
    assert before == Status()
    assert (after.iteration, after.env_steps, after.episodes, after.seconds) == (1, STEPS, 19, 2.0)
    assert after.mean_return == 1.0 and after.comparable_return is None and after.best_return is None
    better = after.after(Sampled(STEPS, [2.0], [5]), 2.0)
    assert better.best_return == better.comparable_return == 1.05
    assert better.best_env_steps == 2 * STEPS
    worse = better.after(Sampled(STEPS, [-9.0] * 40, [5] * 40), 2.0)
    assert (worse.best_return, worse.steps_since_best, len(worse.recent_returns)) == (1.05, STEPS, 50)


def test_patience_ends_a_run_that_no_longer_improves() -> None:
    options = TrainOptions(patience=300)
    status = Status(best_return=0.5, best_env_steps=1_000, env_steps=1_299)
    assert reached(options, status) is None
    assert reached(options, replace(status, env_steps=1_300)) == "no better return than 0.5 for 300 environment steps"
    assert reached(options, Status(env_steps=5_000)) is None  # nothing to compare with yet


def test_plateau_is_said_without_patience_only() -> None:
    status = Status(best_return=0.5, best_env_steps=1_000, env_steps=201_000)
    hint = "no better return for 200,000 steps: Ctrl-C keeps the best; --patience 200000 would end it"
    assert plateau_hint(TrainOptions(), status) == hint
    assert plateau_hint(TrainOptions(), replace(status, env_steps=200_999)) is None
    assert plateau_hint(TrainOptions(patience=300_000), status) is None
    assert plateau_hint(TrainOptions(max_env_steps=10_000), replace(status, env_steps=100_999)) is None
    assert "100,000" in str(plateau_hint(TrainOptions(max_env_steps=10_000), replace(status, env_steps=101_000)))


def test_what_is_no_number_is_empty() -> None:
    row = progress_row(Status(1, STEPS), 10.0, LEARNER | {"vf_loss": float("nan"), "entropy": float("inf")})
    empty = {name for name, value in row.items() if value is None}
    returns = {"episode_return_mean", "episode_return_min", "episode_return_max", "best_return"}
    assert empty == {"value_loss", "entropy", "episode_length_mean"} | returns


def test_seconds_to_the_stop_return_are_those_of_this_stop_return(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    for number, (episodes, mean) in enumerate([(0, None), (10, 9.0), (30, 1.0), (60, 2.0), (90, 1.5), (120, 3.0)]):
        folder.append_row({"seconds": float(number), "episodes": episodes, "episode_return_mean": mean})
    assert [seconds_to(stop, folder) for stop in (None, 1.0, 2.0, 3.0, 9.0)] == [None, 2.0, 3.0, 5.0, None]


def test_summary_and_curve_can_be_written_without_an_episode(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.append_row(progress_row(Status(1, STEPS, seconds=1.0), 10.0, LEARNER))
    config = {"options": {"stop_return": float("inf"), "seed": 0}, "vectorization": {}, "versions": {}}
    write_json(tmp_path / "config.json", {**config, "env_id": "x", "started": "now", "command": "train"})
    task: Any = SimpleNamespace(package="x")
    status = Status(1, STEPS, seconds=1.0, observations_out_of_bounds=3)
    assert finish(task, folder, config, TrainOptions(max_env_steps=9 * STEPS), status, "why", 0.0) is None
    text = (tmp_path / "summary.json").read_text()
    assert '"observations_out_of_bounds": 3' in text
    assert "NaN" not in text and "Infinity" not in text
    assert draw_curve(folder, {"stop return": 5.0}).read_bytes().startswith(b"\x89PNG")


def rows_with(mean: np.ndarray, below: float = 0.0, above: float = 0.0) -> dict[str, np.ndarray]:
    """Returns the columns of a run that has enough episodes for a mean."""
    returns = {"mean": mean, "min": mean - below, "max": mean + above}
    columns = {f"episode_return_{name}": values for name, values in returns.items()}
    return columns | {"episodes": np.full(len(mean), 50)}


def test_first_points_do_not_squash_the_curve() -> None:
    long = rows_with(np.array([-8_000.0, -3_000.0, *np.linspace(-200, 200, 98)]), 100, 50)
    for level in (-8_000.0, -300.0):
        bottom, top = y_limits([long], {"stop return": 220.0, "random": level}) or (0, 0)
        assert -500 < bottom < -200 and 220 < top < 300
        assert (bottom < level) == (level == -300.0)  # a level far below is out of the picture
    short = rows_with(np.array([-4.0, -2.0, 0.0]))
    bottom, top = y_limits([short], {}) or (0, 0)
    assert bottom < -4.0 and top > 0.0  # a short run is shown whole
    assert (y_limits([long, short], {}) or (0, 0))[1] > 200
    assert y_limits([rows_with(np.ones(3))], {}) is None and y_limits([], {"stop return": 3.0}) is None


def test_names_with_dots_do_not_share_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The copy is made beside the folder: `v1.new` for both `v1.2` and `v1.3`, once."""
    monkeypatch.chdir(tmp_path)
    for name in ("v1.2", "v1.3"):
        (tmp_path / "kept" / name / "1-whole" / "checkpoints").mkdir(parents=True)
        (tmp_path / "kept" / name / "1-whole" / "config.json").write_text(name)
        (tmp_path / "kept" / name / "latest").write_text("1-whole")
    other = tmp_path / "runs" / "v1.new"
    other.mkdir(parents=True)
    (other / "mine").write_text("mine")
    for name in ("v1.2", "v1.3"):
        Storage("kept", name).fetch(RunFolder(Path("runs", name)))
        assert Path("runs", name, "config.json").read_text() == name
    assert (other / "mine").read_text() == "mine"


@dataclass
class Scripted(RestartableAlgorithm):
    """Trains as a script says: by the number of the call, what happens in `train` or when a checkpoint is saved."""

    folder: Any = None
    configure: Any = None
    vectorization: Any = None
    in_train: dict[int, Callable[[], None]] = field(default_factory=dict)
    in_save: dict[int, Callable[[], None]] = field(default_factory=dict)
    builds: list[tuple[int, bool]] = field(default_factory=list)
    trained: int = 0
    saved: int = 0
    algorithm: Any = None

    def build(self, restart_count: int, from_checkpoint: bool) -> None:
        self.algorithm = object()
        self.builds.append((restart_count, from_checkpoint))

    def train(self) -> dict[str, Any]:
        self.trained += 1
        self.in_train.get(self.trained, lambda: None)()
        return result(Sampled(STEPS, [float(self.trained)] * 10, [10] * 10))

    def save(self, path: Path, facts: Mapping[str, Any]) -> None:
        self.saved += 1
        (path / POLICY).mkdir(parents=True)
        write_json(path / POLICY / POLICY_FACTS, {"format": FORMAT, "model_config": {}, **facts})
        self.in_save.get(self.saved, lambda: None)()

    def stop(self) -> None:
        self.algorithm = None


@pytest.fixture
def failures(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The failures that env runners have reported, without Ray to carry them."""
    posted: list[dict[str, Any]] = []
    monkeypatch.setattr(failure_report, "read", lambda: posted[0] if posted else None)
    monkeypatch.setattr(failure_report, "clear", posted.clear)
    monkeypatch.setattr(failure_report, "POLL_SECONDS", 0.01)
    return posted


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    """The folder of a new run."""
    made = RunFolder(tmp_path / "run")
    made.make()
    return made


def test_checkpoint_between_its_two_names_is_found_and_put_back(folder: RunFolder) -> None:
    """As `kill -9` leaves it where one was moved aside and the next had not its name yet."""
    for which in (BEST, LAST):
        folder.save_checkpoint(which, lambda path: (path / POLICY).mkdir(parents=True))
        write_json(folder.checkpoint(which) / POLICY / POLICY_FACTS, {"iteration": 7})
        folder.checkpoint(which).rename(folder.checkpoint(which).with_suffix(".old"))
    assert folder.has_checkpoint() and folder.facts(LAST) == folder.facts(BEST) == {"iteration": 7}
    folder.recover()
    assert {path.name for path in (folder.path / "checkpoints").iterdir()} == {BEST, LAST}
    assert folder.facts(LAST) == {"iteration": 7}


@pytest.mark.skipif(sys.platform == "win32", reason="locks as Unix has them")
def test_copy_of_a_run_leaves_it_locked(folder: RunFolder, tmp_path: Path) -> None:
    """A process loses its lock when it closes the file, also after it has only read it."""
    folder.append_row({"iteration": 1})
    storage = Storage(str(tmp_path / "kept"), "run")
    assert storage.is_due() and storage.copy(folder, 1) is None and not storage.is_due()
    (copy,) = tmp_path.glob("kept/run/1-*")
    assert [path.name for path in copy.iterdir()] == ["progress.csv"]
    code = "from kit.training.run_folder import RunFolder, Path; import sys; RunFolder(Path(sys.argv[1])).make()"
    other = [sys.executable, "-c", code, str(folder.path)]
    done = subprocess.run(other, cwd=PACKAGE, capture_output=True, text=True, timeout=60)
    assert "another process trains in" in done.stderr


FACTS = {
    "env_id": "Env-v0",
    "env_config": {},
    "spaces": {"observation": "Box", "action": "Discrete"},
    "versions": {"ray": "2"},
}


def make_loop(folder: RunFolder, algorithm: Scripted, options: TrainOptions = SHORT) -> Loop:
    """Returns a loop that begins a run."""
    return Loop(algorithm, folder, replace(options, debug=True), Status(), FACTS)


@pytest.fixture
def interrupt() -> Iterator[Interrupt]:
    """An Interrupt, entered; the process of the tests isn't ended by it."""
    entered = Interrupt()
    with entered:
        yield entered
        entered.reason = None


def numbers(folder: RunFolder) -> list[float]:
    """Returns the iterations of progress.csv."""
    return [row["iteration"] for row in folder.rows()]


def lose_a_process() -> None:
    raise ActorDiedError


@pytest.mark.parametrize("call", [1, 2, 3, 6, 7])
def test_fault_while_a_checkpoint_is_saved_is_recovered_from(
    folder: RunFolder, interrupt: Interrupt, failures: list[dict[str, Any]], call: int
) -> None:
    """Whichever of the saves fails, of the best or the last: the run is as if that iteration had never been."""
    algorithm = Scripted(in_save={call: lose_a_process})
    loop = make_loop(folder, algorithm)
    assert loop.run(interrupt).startswith("the limit of 1,000 environment steps")
    assert numbers(folder) == list(range(1, 11))
    assert [row["env_steps"] for row in folder.rows()] == [STEPS * number for number in range(1, 11)]
    assert loop.status.episodes == 100 and algorithm.trained == 11
    assert algorithm.builds == [(0, False), (1, call > 1)]
    assert Status.of_last_checkpoint(folder, FACTS).env_steps == 10 * STEPS


def test_each_restart_has_seeds_of_its_own(
    folder: RunFolder, interrupt: Interrupt, failures: list[dict[str, Any]]
) -> None:
    """Also where no checkpoint came in between, which would remember the last one."""
    algorithm = Scripted(in_train={number: lose_a_process for number in (3, 4, 5)})
    make_loop(folder, algorithm).run(interrupt)
    assert [restart for restart, _ in algorithm.builds] == [0, 1, 2, 3]


def test_failure_posted_while_the_iteration_finishes_ends_the_run_with_it(
    folder: RunFolder, interrupt: Interrupt, failures: list[dict[str, Any]]
) -> None:
    def fail_unnoticed() -> None:
        failures.append({"message": "the environment hangs", "log": ["the last line"]})
        wait_for(lambda: interrupt.failure is not None)

    with pytest.raises(EnvironmentFailure, match="the environment hangs"):
        make_loop(folder, Scripted(in_train={2: fail_unnoticed})).run(interrupt)
    assert (folder.path / "environment.log").read_text() == "the last line\n"
    assert interrupt.reason is None


def test_failures_under_keep_going_are_recovered_from_each_time(
    folder: RunFolder, interrupt: Interrupt, failures: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    def fail_unnoticed() -> None:
        failures.append({"message": "the environment hangs", "log": []})
        wait_for(lambda: interrupt.failure is not None)

    def fail() -> None:
        failures.append({"message": "division by zero", "log": []})
        raise EnvironmentFailure(failures[0])

    algorithm = Scripted(in_train={2: fail_unnoticed, 5: fail, 6: fail, 7: fail_unnoticed})
    reason = make_loop(folder, algorithm, options=replace(SHORT, keep_going=True)).run(interrupt)
    assert reason.startswith("the limit of 1,000")
    printed = capsys.readouterr().out
    assert printed.count("the environment hangs\ngoing on after iteration") == 2
    assert printed.count("division by zero\ngoing on after iteration") == 2
    assert numbers(folder) == list(range(1, 11)) and len(algorithm.builds) == 5
    assert not failures and interrupt.failure is None


def test_ctrl_c_after_a_failure_ends_a_run_that_keeps_going(
    folder: RunFolder, interrupt: Interrupt, failures: list[dict[str, Any]]
) -> None:
    def fail_then_interrupt() -> None:
        failures.append({"message": "the environment hangs", "log": []})
        wait_for(lambda: interrupt.failure is not None)
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.1)

    algorithm = Scripted(in_train={2: fail_then_interrupt})
    assert (
        make_loop(folder, algorithm, options=replace(SHORT, keep_going=True)).run(interrupt) == "interrupted by Ctrl-C"
    )
    assert interrupt.exit_code == 130
    assert len(algorithm.builds) == 1 and numbers(folder) == [1, 2]


def test_second_ctrl_c_gives_the_iteration_up_with_its_row(
    folder: RunFolder, interrupt: Interrupt, failures: list[dict[str, Any]]
) -> None:
    def interrupt_twice() -> None:
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.1)

    loop = make_loop(folder, Scripted(in_save={5: interrupt_twice}))
    assert loop.run(interrupt) == "interrupted by Ctrl-C"
    assert numbers(folder) == list(range(1, loop.status.iteration + 1)) and loop.status.iteration
    assert folder.checkpoint(LAST).is_dir() and not folder.checkpoint(LAST).with_suffix(".new").exists()


def test_iteration_without_a_step_is_an_error(
    folder: RunFolder, interrupt: Interrupt, failures: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Scripted, "train", lambda self: {"env_runners": {}})
    with pytest.raises(Exception, match="iteration 1 ended without a single step of the environment"):
        make_loop(folder, Scripted()).run(interrupt)


def test_best_is_the_checkpoint_of_the_best_return(
    folder: RunFolder, interrupt: Interrupt, failures: list[dict[str, Any]]
) -> None:
    loop = make_loop(folder, Scripted(), options=TrainOptions(stop_return=6.0))
    assert loop.run(interrupt) == "solved: the mean return 6 has reached 6"
    best = (folder.checkpoint(BEST) / POLICY / POLICY_FACTS).read_text()
    assert '"best_return": 6.0' in best and f'"best_env_steps": {loop.status.env_steps}' in best


def test_failure_ends_an_iteration_where_no_thread_can_be_signalled(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on Windows, which has no `pthread_kill`."""
    monkeypatch.delattr(signal, "pthread_kill")
    monkeypatch.setattr(module_of_interrupt, "FAILURE_GRACE_S", 0.0)
    is_met = threading.Event()
    with Interrupt() as interrupt:
        threading.Timer(0.1, interrupt._failed, [{"message": "it fails"}, is_met]).start()
        with pytest.raises(KeyboardInterrupt):
            wait_for(lambda: False)
        is_met.set()
    assert interrupt.reason is None and interrupt.failure == {"message": "it fails"}


def test_checkpoint_that_is_the_best_and_the_last_is_saved_once(
    folder: RunFolder, interrupt: Interrupt, failures: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    algorithm = Scripted()  # each iteration is better than the one before
    loop = make_loop(folder, algorithm)
    loop.run(interrupt)
    assert algorithm.saved == loop.status.iteration == folder.facts(LAST)["iteration"] == 10
    assert folder.facts(BEST) == folder.facts(LAST)
    full = shutil.Error([("from", "to", "[Errno 28] No space left on device")])
    monkeypatch.setattr(shutil, "copytree", Mock(side_effect=full))
    with pytest.raises(OSError, match=r"^\[Errno 28\] No space left on device$"):
        folder.save_checkpoint(LAST, folder.copy_of_best)
    assert folder.facts(LAST)["iteration"] == 10


def test_seconds_are_all_that_pass_from_the_first_sample_on(
    folder: RunFolder, interrupt: Interrupt, failures: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also while a checkpoint is written and after a fault; but not before the first sample, nor between two starts."""
    now = 1000.0
    monkeypatch.setattr("kit.training.loop.time", SimpleNamespace(perf_counter=lambda: now))

    def take(seconds: float) -> Callable[[], None]:
        def pass_by() -> None:
            nonlocal now
            now += seconds

        return pass_by

    def fail() -> None:
        take(10)()
        lose_a_process()

    class Slow(Scripted):
        def build(self, restart_count: int, from_checkpoint: bool) -> None:
            super().build(restart_count, from_checkpoint)
            take(100)()

    def run(status: Status, steps: int, **faults: Any) -> list[tuple[float, float]]:
        saves = {number: take(1) for number in range(1, 9)}
        algorithm = Slow(
            in_train={number: take(2) for number in range(1, 9)} | faults.get("in_train", {}), in_save=saves
        )
        loop = make_loop(folder, algorithm, options=TrainOptions(max_env_steps=steps))
        loop.status = status
        loop.run(interrupt)
        return [(row["seconds"], row["steps_per_second"]) for row in folder.rows()]

    assert run(Status(), 3 * STEPS) == [(2, 50), (5, 33.3), (8, 33.3)]
    resumed = run(Status.of_last_checkpoint(folder, FACTS), 6 * STEPS, in_train={2: fail})
    assert resumed[3:] == [(10, 50), (10 + 1 + 10 + 100 + 2, 0.9), (126, 33.3)]


def wait_for(happens: Callable[[], bool]) -> None:
    """Waits until something is so."""
    deadline = time.monotonic() + 30
    while not happens():
        assert time.monotonic() < deadline
        time.sleep(0.01)


# A process that gets SIGTERM, and doesn't end by itself.
SCRIPT = """
import atexit, ctypes, os, signal, sys, threading, time
from kit.training import interrupt as module
module.GRACE_S = module.KILL_AFTER_S = 0.3
interrupt = module.Interrupt()
interrupt.finish = lambda: print("finished", interrupt.reason)

def end():
    os.kill(os.getpid(), signal.SIGTERM)

def deaf_from_here_on():
    signal.pthread_sigmask(signal.SIG_BLOCK, [module.NUDGE])
    time.sleep(99)

def hang_in_c():
    mutex, library = ctypes.create_string_buffer(128), ctypes.CDLL(None)
    threading.Timer(0.2, end).start()
    library.pthread_mutex_lock(mutex)
    library.pthread_mutex_lock(mutex)

def end_a_child():
    child = os.fork()
    if child == 0:
        try:
            time.sleep(99)
        except KeyboardInterrupt:
            os._exit(0)
    time.sleep(0.3)
    os.kill(child, signal.SIGTERM)
    os.waitpid(child, 0)
    time.sleep(1)
    print("goes on")
    end()

with interrupt:
    interrupt.is_patient = {is_patient}
    try:
        {work}
    except KeyboardInterrupt:
        print("raised")
    with interrupt.ending():
        pass
    {last}
sys.exit(interrupt.exit_code)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals as Unix has them")
@pytest.mark.parametrize(
    ("work", "is_patient", "last", "printed"),
    [
        ("end()", False, "pass", "raised\n"),
        ("end(); time.sleep(99)", True, "pass", "raised\n"),
        ("end(); deaf_from_here_on()", True, "pass", "finished ended by SIGTERM\n"),
        ("hang_in_c()", False, "pass", "finished ended by SIGTERM\n"),
        ("end_a_child()", False, "pass", "goes on\nraised\n"),
        ("end()", False, "time.sleep(99)", "raised\n"),  # Ray, whose processes have got the signal, too
        ("end()", False, "atexit.register(time.sleep, 99)", "raised\n"),
    ],
    ids=["at once", "after an iteration", "deaf", "in C", "of a child", "stopping", "leaving"],
)
def test_signal_ends_the_process_whatever_it_does(work: str, is_patient: bool, last: str, printed: str) -> None:
    script = SCRIPT.format(work=work, is_patient=is_patient, last=last)
    done = subprocess.run([sys.executable, "-c", script], cwd=PACKAGE, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (143, printed, "")


@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
def test_process_that_is_ended_takes_those_of_ray_along_and_no_others() -> None:
    """Those of Ray have process groups of their own, with what they have started in turn; here they keep a pipe open."""
    code = """
import os, subprocess, threading
from kit.training.interrupt import Interrupt

def ray():
    subprocess.Popen("sleep 99 & sleep 99", shell=True, preexec_fn=os.setpgrp)

ray()
threading.Thread(target=lambda: (ray(), threading.Event().wait()), daemon=True).start()
other = subprocess.Popen(["sleep", "99"], start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
while len(os.listdir("/proc/self/task")) < 2:
    pass
print(other.pid, flush=True)
Interrupt().end_process()
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=PACKAGE, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (1, "")
    os.kill(int(done.stdout), signal.SIGKILL)  # raises where it is gone
