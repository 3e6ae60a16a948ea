"""The panel counts a threshold as `train` does, runs only what is missing, and never shows a bound as a figure."""

import json
import sys
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from conftest import TEMPLATE

sys.path.insert(0, str(TEMPLATE / "benchmarks"))

import clock
import long_runs
import panel
import panel_table
import panel_worker
import results
import tasks
from clock import Clock
from kit.training import status

CARTPOLE, ACROBOT = tasks.PANEL[:2]


def result(row: str, contestant: str, seed: int, seconds: float, solved: bool = True) -> dict[str, Any]:
    """Returns what stands in panel.json."""
    return {
        "row": row,
        "contestant": contestant,
        "seed": seed,
        "threshold": 475.0,
        "solved": solved,
        "seconds": seconds,
        "cpu_seconds": 2 * seconds,
        "env_steps": int(1000 * seconds),
        "last_return": 480.0,
        "date": f"2026-11-2{seed}",
        "commit": "abcdef0",
        "machine": "Some CPU",
        "cores": 2,
        "versions": {"Python": "3.11.2"},
    }


def test_threshold_counts_as_in_train() -> None:
    assert (clock.WINDOW_EPISODES, clock.FEWEST_EPISODES) == (status.WINDOW_EPISODES, status.FEWEST_EPISODES)
    watched = Clock(10.0, max_seconds=1e6)
    watched.returns.extend(19 * [100.0])
    assert watched.mean is None and not watched.over
    watched.returns.append(100.0)
    assert watched.solved and watched.over
    watched.returns.extend(30 * [0.0])
    assert watched.mean == 40.0
    watched.returns.extend(15 * [0.0])
    assert watched.mean == 10.0 and watched.solved  # the oldest fifteen are forgotten
    watched.returns.append(0.0)
    assert not watched.solved and not watched.over


@pytest.mark.parametrize(
    ("seconds", "cpu_seconds", "is_over"),
    [(9.0, 99.0, False), (11.0, 19.0, False), (11.0, 21.0, True), (21.0, 0.0, True)],
)
def test_time_is_over_when_both_clocks_say_so(
    monkeypatch: pytest.MonkeyPatch, seconds: float, cpu_seconds: float, is_over: bool
) -> None:
    watched = Clock(1.0, max_seconds=10.0, max_cpu_seconds=20.0)
    monkeypatch.setattr(Clock, "seconds", seconds)
    monkeypatch.setattr(Clock, "cpu_seconds", cpu_seconds)
    assert watched.over is is_over
    report = watched.report()
    assert report["seconds"] == seconds and not report["solved"] and report["last_return"] is None


def test_limits_are_multiples_of_what_the_template_took() -> None:
    solved = result("CartPole-v1", "template", 0, 4.0)
    assert panel.limits(solved, 900, 3) == (12.0, 24.0)
    assert panel.limits(solved | {"solved": False}, 900, 3) == panel.limits(None, 900, 3) == (900, 0.0)


def test_only_what_is_missing_runs(tmp_path: Path) -> None:
    path = tmp_path / "results" / "panel.json"
    assert results.load(path) == []
    done: list[dict[str, Any]] = []
    first = []
    for task, contestant, seed in panel.missing([CARTPOLE, ACROBOT], ["template", "zoo"], None, done):
        done.append(result(task.env_id, contestant, seed, 4.0 if task is CARTPOLE else 61.0))
        first.append((task.env_id, contestant, seed))
        results.save(path, done)
    assert first[:3] == [("CartPole-v1", "template", 0), ("CartPole-v1", "zoo", 0), ("CartPole-v1", "template", 1)]
    assert [run[0] for run in first].count("CartPole-v1") == 2 * 5  # five seeds where one is short, else three
    assert [run[0] for run in first].count("Acrobot-v1") == 2 * 3
    kept = results.load(path)
    assert kept == done and len(path.read_text().splitlines()) == len(done) + 2  # a line each
    assert not list(panel.missing([CARTPOLE, ACROBOT], ["template", "zoo"], None, kept))
    del kept[3]
    again = list(panel.missing([CARTPOLE, ACROBOT], ["template", "zoo"], None, kept))
    assert again == [(CARTPOLE, *first[3][1:])]


def test_rows_that_the_zoo_has_not_tuned_have_no_such_rival() -> None:
    rows = {task.env_id for task in tasks.PANEL}
    assert set(panel_worker.ZOO) <= rows and "Blackjack-v1" in rows - set(panel_worker.ZOO)
    (blackjack,) = (task for task in tasks.PANEL if task.env_id == "Blackjack-v1")
    assert [run[1] for run in panel.missing([blackjack], ["template", "zoo"], 1, [])] == ["template"]


def test_table_tells_bounds_from_figures() -> None:
    seconds = {
        ("A", "template"): [(4.0, True), (5.0, True), (6.0, True)],
        ("A", "zoo"): [(10.0, True), (15.0, False), (11.0, True)],  # the median is known
        ("A", "rllib"): [(12.0, False), (15.0, False), (18.0, True)],  # the median is at least 15
        ("B", "template"): [(30.0, True), (30.0, True), (90.0, False)],
        ("B", "zoo"): [(15.0, True), (15.0, True), (15.0, True)],
        ("C", "template"): [(90.0, False), (90.0, False), (90.0, False)],
        ("C", "zoo"): [(90.0, False), (90.0, False), (90.0, False)],
    }
    found = [
        result(row, contestant, seed, *run)
        for (row, contestant), runs in seconds.items()
        for seed, run in enumerate(runs)
    ]
    text = panel_table.table(found, ["A", "B", "C", "D"], ["template", "zoo", "rllib"])
    head, line, *rows = text.splitlines()
    assert head.count("|") == line.count("|") == rows[0].count("|") and "| D" not in text
    cells = [cell.strip() for cell in rows[0].split("|")[1:-1]]
    assert cells[0] == "A, 475"
    assert cells[1] == "5.0 (6.0), 10.0, 5,000, 3/3"
    assert cells[2] == "11.0 (>15.0), 22.0, 11,000, 2/3"
    assert cells[3] == "> 15.0 (>18.0), > 30.0, >15,000, 1/3"
    assert cells[4] == "2.2, > 3"
    assert rows[1].endswith("| 0.5, - |") and rows[2].endswith("| ?, - |")
    assert "geometric mean of 3 rows, zoo: 1 times longer" in text  # of 2.2 and 0.5; the third is not known
    assert "geometric mean of 1 rows, rllib: > 3 times longer" in text
    assert "behind on B: zoo takes 0.5 times our seconds" in text and "behind on A" not in text
    assert "not solved: B, seed 2; solved by: zoo" in text
    assert "not solved: C, seed 0, 1, 2; solved by: nobody" in text
    assert "2 cores of Some CPU" in text and "2026-11-20 to 2026-11-22" in text


def test_mean_is_a_bound_where_a_ratio_is() -> None:
    ratio = panel_table.Ratio
    assert str(panel_table.mean([ratio(2.0, ""), ratio(8.0, ">")])) == "> 4"
    assert str(panel_table.mean([ratio(0.5, "<"), ratio(8.0, ">")])) == "?"
    assert str(panel_table.mean([])) == "?"


@pytest.mark.parametrize("row", panel_worker.ZOO)
def test_settings_of_the_zoo_make_a_model(row: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # MuJoCo writes its log where it is
    (task,) = (task for task in tasks.PANEL if task.env_id == row)
    names: dict[str, Any] = {"gym": gym}
    try:
        exec(task.imports, names)
        eval(task.made, names).close()
    except (ImportError, gym.error.DependencyNotInstalled) as error:
        pytest.skip(str(error))
    model = panel_worker.zoo_model(row, lambda: eval(task.made, names), seed=0)
    settings = panel_worker.ZOO[row]
    assert (model.n_envs, model.n_steps, model.gamma) == (settings["n_envs"], settings["n_steps"], settings["gamma"])
    assert (model.get_vec_normalize_env() is not None) == settings.get("normalize", False)
    if settings.get("learning_rate") == "lin_0.001":
        assert [model.lr_schedule(left) for left in (1.0, 0.5, 0.0)] == [0.001, 0.0005, 0.0]


def test_collapse_is_a_fall_below_half_way_after_solved() -> None:
    assert long_runs.collapses([20, 100, 200], 475) == (0, None)  # never solved
    assert long_runs.collapses([20, 480, 300, 250, 490], 475) == (0, 250)  # half way is 247.5
    assert long_runs.collapses([20, 480, 240, 200, 300, 480, 100], 475) == (2, 100)
    assert long_runs.collapses([-200, -90, -170, -160], -100) == (1, -170)


def test_speed_of_the_last_tenth_over_the_first() -> None:
    steps = np.arange(0.0, 1001.0, 50.0)
    assert long_runs.of_tenths(steps, steps / 100) == pytest.approx(1.0)
    slower = np.where(steps <= 900, steps / 100, 9 + (steps - 900) / 50)
    assert long_runs.of_tenths(steps, slower) == pytest.approx(0.5)


def test_results_that_are_kept_can_be_read() -> None:
    """Every result that the repository holds is whole, and of a row that the panel still has."""
    for one in results.load(results.RESULTS / "panel.json"):
        assert {"solved", "seconds", "cpu_seconds", "env_steps", "versions", "machine", "commit"} <= set(one)
        assert one["row"] in {task.env_id for task in tasks.PANEL} and one["contestant"] in panel.CONTESTANTS
    assert json.dumps(results.circumstances())
