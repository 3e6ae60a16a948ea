"""The command `sweep`: what it searches, how it compares, what it writes, and how it goes on after a kill."""

import csv
import json
import math
import os
import queue
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any

import pytest
from conftest import PACKAGE, BakedProject, clean_environment
from kit.commands.sweep import write_numbers
from kit.errors import RunError, UsageError
from kit.search.search import Search
from kit.search.space import parse_params, train_options, value
from kit.search.trainer import Trainer, returns_at
from kit.task import Task
from kit.training.interrupt import Interrupt
from kit.training.options import TrainOptions
from kit.training.run_folder import RunFolder, lock

SMALL = ("--param", "lr=1e-4..3e-3:log", "--trials", "2", "--seeds", "2", "--max-env-steps", "3000")


@pytest.mark.parametrize(
    ("text", "drawn", "expected"),
    [
        ("lr=1e-4..3e-3:log", 0.00123456, 0.00123),
        ("num_epochs=2..10", 7, 7),
        ("env.length=8,16", "16", 16),
        ("hidden_units=[64,64],[128]", "[64, 64]", [64, 64]),
        ("env.map='easy','hard'", "'hard'", "hard"),
        ("grad_clip=None,0.5", "None", None),
    ],
)
def test_params_are_ranges_and_choices(text: str, drawn: Any, expected: Any) -> None:
    (distribution,) = parse_params([text]).values()
    assert distribution._contains(distribution.to_internal_repr(drawn))
    assert value(drawn) == expected and type(value(drawn)) is type(expected)


def test_whole_and_logarithmic_ranges_are_told_by_how_they_are_written() -> None:
    space = parse_params(["a=2..10", "b=2.0..10", "c=1e-4..3e-3:log", "d=-3..-1"])
    kinds = {name: type(one).__name__ for name, one in space.items()}
    assert kinds == dict.fromkeys("ad", "IntDistribution") | dict.fromkeys("bc", "FloatDistribution")
    assert space["c"].log and not space["b"].log
    assert (space["d"].low, space["d"].high) == (-3, -1)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("lr=3e-3..1e-4", "`low <= high` must hold"),
        ("lr=0..1e-3:log", "`low > 0` must hold"),
        ("lr=abc", "expected values, got 'abc'"),
        ("lr=a..1", "expected a number, got 'a'"),
        ("lr=1..inf", "expected a number, got 'inf'"),
        ("lr=1,,2", "expected values, got '1,,2'"),
        ("lr", "expected values, got ''"),
        ("=1,2", "expected values, got ''"),
    ],
)
def test_wrong_params_are_refused_in_one_line(text: str, message: str) -> None:
    with pytest.raises(UsageError) as raised:
        parse_params([text])
    assert str(raised.value).startswith(f"--param {text}: ") and message in str(raised.value)
    assert "\n" not in str(raised.value)


def test_options_of_train_are_set_and_config() -> None:
    words = train_options({"lr": 1e-3, "env.length": 8, "hidden_units": [16]})
    assert words == ["--set", "lr=0.001", "--set", "hidden_units=[16]", "--config", '{"length": 8}']
    assert train_options({}) == []


def test_returns_are_compared_at_equal_steps() -> None:
    rows = [{"env_steps": s, "episode_return_mean": r} for s, r in ((30, math.nan), (60, 1.0), (120, 2.0))]
    assert returns_at([25, 50, 100, 150], rows) == [(50, 1.0), (100, 2.0)]


def test_numbers_are_written_and_comments_stay(tmp_path: Path) -> None:
    file = tmp_path / "ppo.py"
    old = (PACKAGE / "ppo.py").read_text(encoding="utf-8")
    file.write_text(old, encoding="utf-8")
    lines = write_numbers(
        file, {"lr": 7e-4, "hidden_units": [32], "vf_clip_param": 20.0, "lambda_": 0.9, "image_features": 32}
    )
    new = file.read_text(encoding="utf-8")
    changed = [(a, b) for a, b in zip(old.splitlines(), new.splitlines(), strict=True) if a != b]
    assert [b.strip() for _, b in changed] == [line.split(": ", 1)[1] for line in lines]
    assert [b.split(",  #")[0].split("  #")[0].strip() for _, b in changed] == [
        *("HIDDEN_UNITS = [32]", "image_features = 32", "lr=0.0007", "lambda_=0.9", "vf_clip_param=20.0")
    ]
    assert all(a.partition("#")[2] == b.partition("#")[2] for a, b in changed)
    assert lines[0].startswith(f"{file}:5: ")


@pytest.mark.parametrize("text", ["", "lr=1e-3, gamma=0.9\n", "lr=1e-3,\nlr=1e-4,\n", "# lr=1e-3\n", "lr=(\n1\n)\n"])
def test_number_without_a_line_of_its_own_is_not_written(tmp_path: Path, text: str) -> None:
    file = tmp_path / "ppo.py"
    file.write_text(f"clip_param=0.2,\n{text}")
    with pytest.raises(UsageError, match="has no line of its own for lr; write lr=0.5 by hand"):
        write_numbers(file, {"clip_param": 0.1, "lr": 0.5})
    assert file.read_text() == f"clip_param=0.2,\n{text}"


ROWS_ONLY = type("RowsOnly", (), {"__module__": "rows_only"})
TASK = Task("rows_only/RowsOnly-v0", ROWS_ONLY, None, None, "rows_only.ppo:ppo_config")


class Table(Trainer):
    """A Trainer whose runs return what a function says; it notes which were asked for."""

    def __init__(self, folder: Path, function: Any) -> None:
        super().__init__(TASK, folder, 100, Interrupt())
        self.cpus, self.function = queue.SimpleQueue(), function
        self.asked: list[tuple[str, int, list[str]]] = []
        self.cpus.put(0)

    def returns(self, name: str, seed: int, options: Sequence[str]) -> Generator[tuple[int, float], None, None]:
        self.asked.append((name, seed, list(options)))
        for mark in self.marks:
            yield mark, self.function(name, seed, options)


def by_trial(numbers: dict[str, list[float]]) -> Any:
    """Returns a function for Table: the return of each trial on each seed."""
    return lambda name, seed, options: numbers[name.partition("-seed")[0]][seed // 1000]


def test_rank_is_by_the_lower_end_and_the_table_says_all(tmp_path: Path) -> None:
    trainer = Table(tmp_path, by_trial({"trial-01": [1.0, 9.0], "trial-02": [4.0, 4.1], "trial-03": [-1.0, -1.1]}))
    search = Search(trainer, parse_params(["lr=1e-4..1e-3:log", "env.length=8,16"]), 2)
    best = search.run(3, None)
    assert [row["trial"] for row in search.rows()] == ["trial-02", "trial-03", "trial-01"]
    assert best["low"] < best["mean"] < best["high"]
    assert best["mean"] == pytest.approx(4.05)
    with (tmp_path / "trials.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["trial"] for row in rows] == ["trial-02", "trial-03", "trial-01"]
    assert {row["env.length"] for row in rows} <= {"8", "16"}
    assert all(1e-4 <= float(row["lr"]) <= 1e-3 for row in rows)
    assert (tmp_path / "trials.png").read_bytes().startswith(b"\x89PNG")
    assert [seed for _, seed, _ in trainer.asked] == [0, 1000] * 3


def test_candidate_below_the_median_is_stopped_early_at_equal_steps(tmp_path: Path) -> None:
    trainer = Table(tmp_path, lambda name, seed, options: 0.0 if name.startswith("trial-06") else 5.0 + seed / 1e6)
    search = Search(trainer, parse_params(["lr=1e-4..1e-3"]), 2)
    search.run(6, None)
    assert search.rows()[-1]["trial"] == "trial-06"
    assert search.rows()[-1]["note"] == "stopped early: below the median"
    assert search.rows()[-1]["low"] is None
    assert [name for name, _, _ in trainer.asked].count("trial-06-seed-1000") == 0


def test_failure_is_noted_and_the_search_goes_on(tmp_path: Path) -> None:
    def function(name: str, seed: int, options: Sequence[str]) -> float:
        if name.startswith("trial-01"):
            raise RunError("minibatch_size is above the batch (see log)")
        return seed / 1000

    search = Search(Table(tmp_path, function), parse_params(["lr=1e-4..1e-3"]), 2)
    assert search.run(2, None)["trial"] == "trial-02"
    assert search.rows()[1]["note"] == "minibatch_size is above the batch (see log)"


def test_search_without_any_result_is_an_error(tmp_path: Path) -> None:
    def function(name: str, seed: int, options: Sequence[str]) -> float:
        raise RunError("the environment fails")

    with pytest.raises(RunError, match="no candidate could be trained: the environment fails"):
        Search(Table(tmp_path, function), parse_params(["lr=1e-4..1e-3"]), 2).run(2, None)


def test_stop_return_ends_the_search(tmp_path: Path) -> None:
    search = Search(Table(tmp_path, lambda name, seed, options: float(name[6:8])), parse_params(["lr=1,2,3"]), 2)
    search.run(6, 3.0)
    assert len(search.rows()) == 3


def test_search_goes_on_where_it_was_ended(tmp_path: Path) -> None:
    def interrupted(name: str, seed: int, options: Sequence[str]) -> float:
        if name == "trial-02-seed-1000":
            first.interrupt.reason = "interrupted by Ctrl-C"
            raise KeyboardInterrupt
        return seed / 1000

    space, first = ["lr=1e-4..1e-3:log"], Table(tmp_path, interrupted)
    with pytest.raises(KeyboardInterrupt):
        Search(first, parse_params(space), 2).run(4, None)
    again = Table(tmp_path, lambda name, seed, options: seed / 1000)
    search = Search(again, parse_params(space), 2)
    assert len(search.rows()) == 1
    search.run(4, None)
    names = sorted(row["trial"] for row in search.rows())
    assert len(names) == len(set(names)) == 4 and names[:2] == ["trial-01", "trial-02"]
    assert "trial-01" not in {name[:8] for name, _, _ in again.asked}
    assert again.asked[0][0] == "trial-02-seed-0"
    search.run(4, None)
    assert len(search.rows()) == 4
    with pytest.raises(
        UsageError, match="holds another search, by its values, seeds, steps or environment; choose another"
    ):
        Search(again, parse_params(["lr=1e-4..2e-3:log"]), 2)


def test_best_is_compared_with_the_defaults_on_fresh_seeds(tmp_path: Path) -> None:
    trainer = Table(tmp_path, lambda name, seed, options: seed / 1000 + 2 * (not name.startswith("defaults")))
    search = Search(trainer, parse_params(["lr=1e-4..1e-3:log", "gamma=0.9", "env.length=8"]), 2)
    best = search.run(1, None)
    trainer.asked.clear()
    found = search.compare(best)
    assert found["defaults"]["difference"]["interval"] == [2.0, 2.0]
    assert sorted(seed for _, seed, _ in trainer.asked) == [2000, 2000, 3000, 3000]
    used = {name.partition("-seed")[0]: options for name, _, options in trainer.asked}
    assert used["defaults"] == ["--set", "gamma=0.9", "--config", '{"length": 8}']
    assert used["trial-01"] == train_options({"lr": best["lr"], "gamma": 0.9, "env.length": 8})


PROJECT = """
import csv, os, pathlib, sys, time
words = dict(zip(sys.argv[2::2], sys.argv[3::2]))
folder = pathlib.Path("runs", words["--name"])
folder.mkdir(parents=True)
(folder / "pid").write_text(f"{os.getpid()} {sorted(os.sched_getaffinity(0))}")
if "lr=9.0" in sys.argv:
    sys.exit("ERROR: it failed")
with (folder / "progress.csv").open("w") as file:
    print("env_steps,episode_return_mean", file=file)
    for steps in range(10, 1 + int(words["--max-env-steps"]), 10):
        time.sleep(float(os.environ.get("SECONDS_A_ROW", 0)))
        print(f"{steps},{steps / 100}", file=file, flush=True)
"""


@pytest.fixture
def trainer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Trainer:
    """A Trainer of a package whose `train` writes rows and nothing else, in processes as they are."""
    package = tmp_path / "rows_only"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "__main__.py").write_text(textwrap.dedent(PROJECT))
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    folder = Path("runs", "sweep")
    folder.mkdir(parents=True)
    return Trainer(TASK, folder, 100, Interrupt())


def is_alive(pid: int) -> bool:
    """Tells whether a process is there, and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


linux = pytest.mark.skipif(sys.platform != "linux", reason="looks at affinity and /proc")


@linux
def test_run_has_a_cpu_of_its_own_and_yields_its_marks(trainer: Trainer) -> None:
    free = trainer.cpus.qsize()
    assert list(trainer.returns("a", 0, [])) == [(steps, steps / 100) for steps in range(10, 101, 10)]
    _, cpus = (trainer.folder / "a" / "pid").read_text().split(" ", 1)
    assert len(json.loads(cpus)) == 1
    assert trainer.cpus.qsize() == free == len(os.sched_getaffinity(0))
    (trainer.folder / "a" / "pid").unlink()
    assert list(trainer.returns("a", 0, []))[-1] == (100, 1.0)
    assert not (trainer.folder / "a" / "pid").exists()  # what is there is not trained again


@linux
def test_failed_run_says_why(trainer: Trainer) -> None:
    with pytest.raises(RunError, match=r"^ERROR: it failed \(see runs/sweep/logs/a.log\)$"):
        list(trainer.returns("a", 0, ["--set", "lr=9.0"]))


@linux
def test_closed_and_interrupted_runs_end(trainer: Trainer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECONDS_A_ROW", "0.2")
    returns = trainer.returns("a", 0, [])
    assert next(returns) == (10, 0.1)
    returns.close()
    assert not is_alive(int((trainer.folder / "a" / "pid").read_text().split()[0]))
    returns = trainer.returns("b", 0, [])
    next(returns)
    trainer.interrupt.reason = "interrupted by Ctrl-C"
    with pytest.raises(KeyboardInterrupt):
        list(returns)
    assert not is_alive(int((trainer.folder / "b" / "pid").read_text().split()[0]))
    with pytest.raises(KeyboardInterrupt):
        next(trainer.returns("c", 0, []))
    assert not (trainer.folder / "c").exists()


@linux
def test_killed_search_leaves_no_run(trainer: Trainer, tmp_path: Path) -> None:
    code = f"""
        import sys
        sys.path[:0] = [{str(tmp_path)!r}, {str(PACKAGE)!r}]
        from pathlib import Path
        from kit.search.trainer import Trainer
        from kit.task import Task
        from kit.training.interrupt import Interrupt
        if __name__ == "__main__":
            env_class = type("RowsOnly", (), {{"__module__": "rows_only"}})
            task = Task("rows_only/RowsOnly-v0", env_class, None, None, "rows_only.ppo:ppo_config")
            list(Trainer(task, Path("runs/sweep"), 100, Interrupt()).returns("a", 0, []))
    """
    (tmp_path / "search.py").write_text(textwrap.dedent(code))
    process = subprocess.Popen([sys.executable, "search.py"], env={**os.environ, "SECONDS_A_ROW": "10"})
    wait_for(trainer.folder / "a" / "progress.csv")
    process.kill()
    process.wait()
    pid = int((trainer.folder / "a" / "pid").read_text().split()[0])
    deadline = time.monotonic() + 20
    while is_alive(pid):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def wait_for(path: Path, seconds: float = 200) -> None:
    """Waits until a file is there."""
    deadline = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < deadline, path
        time.sleep(0.05)


def test_run_of_a_sweep_may_lie_in_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("runs/search").mkdir(parents=True)
    with pytest.raises(UsageError, match="write one without a slash"):
        RunFolder.new("search/trial-01")
    with lock(Path("runs/search/sweep.lock")):
        assert RunFolder.new("search/trial-01").path == Path("runs/search/trial-01")
    with pytest.raises(UsageError, match="runs/search exists"):
        RunFolder.new("search")


def test_command_of_a_run_without_stop_return_says_so() -> None:
    assert "--stop-return none" in TrainOptions().command("package", {})


@pytest.mark.parametrize(
    ("message", "options"),
    [
        ("--param lrr: PPO has no such number; did you mean 'lr'?", ("--param", "lrr=1,2")),
        ("--param env.lenght: unknown key 'lenght' in config; did you mean 'length'?", ("--param", "env.lenght=1,2")),
        ("--param env.length: length must be a whole number of at least 2", ("--param", "env.length=1..8")),
        ("--param lr: lr is 'x'; write a number", ("--param", "lr='x'")),
        ("argument --trials: expected a whole number of at least 1", ("--param", "lr=1,2", "--trials", "0")),
        ("the following arguments are required: --param", ()),
        ("can't be the folder of a search; choose another", ("--param", "lr=1,2", "--name", "../x")),
    ],
)
def test_wrong_use_is_one_line(corridor: BakedProject, message: str, options: tuple[str, ...]) -> None:
    done = corridor.command("sweep", *options)
    assert done.returncode == 2, done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith("ERROR: ") and message in line
    assert not (corridor.path / "runs" / "sweep").exists()


def test_missing_extra_is_refused_with_the_line_that_installs_it(corridor: BakedProject) -> None:
    code = (
        f"import runpy, sys; sys.modules['optuna'] = None; sys.argv = ['', 'sweep', '--param', 'lr=1,2'];"
        f"runpy.run_module('{corridor.package}', run_name='__main__')"
    )
    done = corridor.run("-c", code)
    assert (done.returncode, done.stderr) == (2, 'ERROR: sweep needs Optuna: pip install -e ".[sweep]"\n')


def test_help_fits_a_screen(corridor: BakedProject) -> None:
    text = corridor.command("sweep", "--help", check=True).stdout
    assert len(text.splitlines()) <= 24
    assert "example: python -m corridor_demo sweep --param lr=1e-4..3e-3:log" in text


@pytest.mark.slow
@linux
def test_killed_sweep_goes_on_and_ctrl_c_leaves_the_table(corridor: BakedProject) -> None:
    command = [str(corridor.python), "-m", corridor.package, "sweep", *SMALL, "--name", "killed"]
    folder = corridor.path / "runs" / "killed"
    first = subprocess.Popen(command, cwd=corridor.path, env=clean_environment())
    wait_for(folder / "trial-01-seed-0" / "summary.json")
    wait_for(folder / "trial-01-seed-1000" / "progress.csv")
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    trained = (folder / "trial-01-seed-0" / "progress.csv").read_bytes()
    second = subprocess.Popen(command, cwd=corridor.path, env=clean_environment(), stdout=subprocess.PIPE, text=True)
    wait_for(folder / "trials.csv")
    os.kill(second.pid, signal.SIGINT)
    output, _ = second.communicate(timeout=30)
    assert second.returncode == 130
    assert "interrupted by Ctrl-C; the same command goes on" in output
    done = corridor.run(*command[1:], check=True)
    assert (folder / "trial-01-seed-0" / "progress.csv").read_bytes() == trained
    with (folder / "trials.csv").open() as file:
        rows = {row["trial"]: row for row in csv.DictReader(file)}
    assert len(rows) == 2
    for name in rows:
        for seed in (0, 1000):
            saved = json.loads((folder / f"{name}-seed-{seed}" / "config.json").read_text())
            assert saved["ppo"]["lr"] == float(rows[name]["lr"])
            assert saved["options"]["seed"] == seed
            assert saved["vectorization"]["num_env_runners"] == 0
            assert (folder / f"{name}-seed-{seed}" / "summary.json").exists()
    assert "than the defaults: by " in done.stdout
    assert {path.name for path in folder.glob("defaults-*")} == {"defaults-seed-2000", "defaults-seed-3000"}
    corridor.command("evaluate", "killed/trial-01-seed-0", "--episodes", "2", check=True)
