"""The picture and the page of a run, of several runs, and the three lines that `train` ends with."""

import base64
import csv
import math
import os
import re
import time
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from conftest import BakedProject
from kit.commands import report
from kit.errors import UsageError
from kit.files import read_json, write_json
from kit.policy.measure import play_episode
from kit.task import Task
from kit.training import outcome, page
from kit.training.curve import APART, label_places
from kit.training.page import verdict, write_run
from kit.training.run_folder import RunFolder

CLASS = type("CorridorDemoEnv", (gym.Env,), {"__module__": "corridor_demo.env"})
TASK = Task("corridor_demo/CorridorDemo-v0", CLASS, 60, None, "corridor_demo.ppo:ppo_config")

EVALUATION: dict[str, Any] = {
    "checkpoint": "runs/first/checkpoints/best/policy",
    "episodes": 20,
    "seed": 1_000_000,
    "policy": {"mean": 0.9061, "interval": [0.89, 0.92], "min": 0.5, "max": 1.0},
    "random": {
        "mean": -3.212,
        "interval": [-4.0, -2.4],
        "min": -9.0,
        "max": 0.1,
        "difference": {"mean": 4.1, "interval": [3.2, 5.0], "min": 0.4, "max": 9.9},
    },
}


def make_run(path: Path, iterations: int = 60, evaluated: bool = True, **settings: Any) -> RunFolder:
    """Writes what `train` leaves in a run's folder, but for the policy's numbers."""
    folder = RunFolder(path)
    for which in ("best", "last"):
        (folder.checkpoint(which) / "policy").mkdir(parents=True)
        (folder.checkpoint(which) / "policy" / "policy.json").write_text("{}", encoding="utf-8")
    random = np.random.default_rng(len(path.name))
    with folder.progress.open("w", newline="", encoding="utf-8") as file:
        names = ("env_steps", "seconds", "episodes", "return_mean", "return_min", "return_max")
        writer = csv.writer(file)
        writer.writerow(["iteration", *(f"episode_{name}" if "_m" in name else name for name in names)])
        for number in range(1, iterations + 1):
            mean = 1 - 4 * math.exp(-number / 12) + random.normal(0, 0.05)
            writer.writerow([number, 2048 * number, 0.4 * number, 20 * number, mean, mean - 1.5, min(mean + 0.8, 1.0)])
    config = {
        "env_id": "corridor_demo/CorridorDemo-v0",
        "command": f"python -m corridor_demo train --seed 3 --config '{{\"length\": 10}}' --name {path.name}",
        "started": "2026-11-21T17:46:47",
        "options": {"seed": 3, "stop_return": 0.8, "max_env_steps": 1_000_000, "storage": None},
        "env_config": {"length": 10, "title": "<script>alert('a & b')</script>"},
        "ppo": {"lr": 3e-4, "hidden_units": [64, 64], **settings},
        "vectorization": {"num_env_runners": 0, "reason": "a step takes 0.01 ms"},
        "versions": {"ray": "2.60.0", "torch": "2.13.0"},
    }
    write_json(path / "config.json", config)
    results = {"ended_by": "solved: the mean return 0.91 has reached 0.8", "env_steps": 2048 * iterations}
    returns = {"best_return": 0.93, "last_return": 0.9, "stop_return": 0.8, "seconds_to_stop_return": 20.4}
    write_json(path / "summary.json", {**results, **returns, "seconds": 0.4 * iterations, "steps_per_second": 5120.0})
    if evaluated:
        write_json(path / "evaluation.json", EVALUATION)
    return folder


class Page(HTMLParser):
    """What a browser would find in a page: its text, and what it loads."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.open, self.text, self.loaded = list[str](), "", dict[str, list[str]]()
        self.feed(path.read_text(encoding="utf-8"))
        assert not self.open, f"{self.open} are never closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("src", "href"):
                self.loaded.setdefault(tag, []).append(str(value))
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data if self.open[-1:] != ["style"] else ""

    def pictures(self) -> list[str]:
        """Returns the SVG of its pictures."""
        prefix = "data:image/svg+xml;base64,"
        assert all(image.startswith(prefix) for image in self.loaded["img"])
        return [base64.b64decode(image.removeprefix(prefix)).decode() for image in self.loaded["img"]]


def test_page_holds_all_of_a_run_and_loads_nothing(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "first")
    (folder.path / "videos").mkdir()
    (folder.path / "videos" / "best.mp4").write_bytes(b"a film")
    path = write_run(folder)
    found = Page(path)
    assert all(one.startswith("data:") for loaded in found.loaded.values() for one in loaded)
    assert not re.search(r"@import|url\(|<script", path.read_text(encoding="utf-8"))
    assert found.loaded["video"] == ["data:video/mp4;base64," + base64.b64encode(b"a film").decode()]
    for text in ("0.0003", "[64, 64]", "2.60.0", "-3.212", "0.89 to 0.92", "<script>alert('a & b')</script>"):
        assert text in found.text
    assert read_json(folder.path / "config.json")["command"] in found.text
    assert len(found.pictures()) == 2


def test_curve_needs_no_colour_and_names_its_lines(tmp_path: Path) -> None:
    over_steps, over_time = Page(write_run(make_run(tmp_path / "first"))).pictures()
    for svg in (over_steps, over_time):
        colours = set(re.findall(r"#([0-9a-f]{6})", svg))
        assert colours and all(one[:2] == one[2:4] == one[4:] for one in colours)
        assert "stroke-dasharray" in svg
        for label in ("mean", "stop return 0.8", "random -3.212", "return of an episode"):
            assert f"<!-- {label} -->" in svg
    assert "<!-- environment steps -->" in over_steps and re.search(r"<!-- \d+,000 -->", over_steps)
    assert "<!-- seconds since the first sample -->" in over_time
    assert (tmp_path / "first" / "learning_curve.png").read_bytes().startswith(b"\x89PNG")


def test_what_there_is_not_is_left_out(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "first", iterations=0, evaluated=False)
    (folder.path / "summary.json").unlink()
    (folder.path / "videos").mkdir()
    film = folder.path / "videos" / "best.mp4"
    film.write_bytes(b"a film of an earlier policy")
    os.utime(film, (1, 1))
    found = Page(write_run(folder))
    assert "learned" not in found.text
    assert set(found.loaded) == {"img"}


def test_large_video_is_not_embedded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "MOST_VIDEO_BYTES", 3)
    folder = make_run(tmp_path / "first")
    (folder.path / "videos").mkdir()
    (folder.path / "videos" / "best.mp4").write_bytes(b"long")
    found = Page(write_run(folder))
    assert "video" not in found.loaded


def test_labels_are_apart_and_within_the_picture() -> None:
    places = label_places({"a": 1.0, "b": 1.01, "c": 5.0, "d": -40.0, "e": 0.99}, (-1.0, 1.0))
    assert sorted(places, key=places.__getitem__) == ["d", "e", "a", "b", "c"]
    heights = sorted(places.values())
    assert 0.0 <= heights[0] and heights[-1] <= 1.0
    assert all(above - below > APART - 1e-9 for below, above in zip(heights, heights[1:], strict=False))


def test_report_of_one_run_writes_its_page_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    make_run(Path("runs/first"))
    assert report.main(TASK, ["first"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == f"for the browser: {Path('runs/first/report.html')}"
    assert any(line.split() == ["best_return", "0.93"] for line in lines)
    assert "first" in Page(Path("runs/first/report.html")).text


def test_report_of_several_runs_lays_their_curves_over_one_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, lr in (("first", 3e-4), ("second", 1e-3), ("third", 3e-4)):
        make_run(Path("runs", name), lr=lr)
    assert report.main(TASK, ["first", "runs/second", "third"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines if line.startswith("ppo.")] == [["ppo.lr", "0.0003", "0.001", "0.0003"]]
    assert lines[-1] == f"for the browser: {Path('runs/report.html')}"
    found = Page(Path("runs/report.html"))
    assert "ppo.lr" in found.text and "0.001" in found.text
    for svg in found.pictures():
        assert all(f"<!-- {name} -->" in svg for name in ("first", "runs/second", "third"))
    with pytest.raises(UsageError, match="there is no run 'frist'; did you mean 'first'"):
        report.main(TASK, ["first", "frist"])


def tell(folder: RunFolder, capsys: pytest.CaptureFixture[str], is_whole: bool = True) -> list[str]:
    """Returns what the end of a run prints."""
    outcome.tell(TASK, folder, is_whole)
    return capsys.readouterr().out.splitlines()


def test_end_says_what_was_learned_where_it_lies_and_what_is_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = make_run(tmp_path / "first", evaluated=False)
    returns = {"policy": [0.9, 1.0, 0.8, 0.9], "random": [-3.0, -4.0, -2.0, -3.0]}
    monkeypatch.setattr(outcome, "play", lambda *_: returns)
    learned, where, then = tell(folder, capsys)
    middle = "mean return 0.9 (0.7701 to 1.03) over 4 fresh episodes; a random policy gets -3 (-4.299 to -1.701)"
    assert learned == f"learned: {middle}"
    assert where == f"it lies in {folder.path}: report.html, learning_curve.png, checkpoints/best"
    assert then == "next: python -m corridor_demo evaluate first"
    assert middle in Page(folder.path / "report.html").text
    assert "<!-- random -3 -->" in Page(folder.path / "report.html").pictures()[0]
    monkeypatch.setattr(outcome, "play", lambda *_: {"policy": returns["random"], "random": returns["policy"]})
    assert tell(folder, capsys)[0].startswith("learned: no better than random: mean return -3 ")


@pytest.mark.parametrize(
    ("played", "message"),
    [
        (KeyboardInterrupt(), "interrupted"),
        (ZeroDivisionError("division by zero"), "ZeroDivisionError: division by zero"),
        (SystemExit(3), "SystemExit: 3"),
        (UsageError("the file is damaged"), "the file is damaged"),
        ({"policy": [1.0], "random": [1.0]}, "two episodes take longer than 10 s"),
    ],
)
def test_end_that_can_not_evaluate_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], played: Any, message: str
) -> None:
    def play(*_: Any) -> Any:
        if isinstance(played, BaseException):
            raise played
        return played

    monkeypatch.setattr(outcome, "play", play)
    folder = make_run(tmp_path / "first")  # with an evaluation of an earlier start
    learned, _, then = tell(folder, capsys)
    assert learned.startswith("learned: not evaluated: ") and learned.endswith(message)
    assert then == "next: python -m corridor_demo evaluate first"
    assert "What was learned" not in Page(folder.path / "report.html").text


def test_end_by_a_signal_or_without_a_checkpoint_evaluates_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    learned, _, then = tell(make_run(tmp_path / "first"), capsys, is_whole=False)
    assert learned == "learned: not evaluated; python -m corridor_demo evaluate first does so"
    assert then == "next: python -m corridor_demo train --name first --resume"
    (line,) = tell(RunFolder(tmp_path), capsys)
    assert line == "nothing is learned yet: there is no checkpoint"


def test_verdict_is_by_the_difference_on_the_same_seeds() -> None:
    assert verdict(EVALUATION).startswith("mean return 0.9061 (0.89 to 0.92) over 20 fresh episodes;")
    doubtful = EVALUATION["random"] | {"difference": {"interval": [-0.1, 9.0]}}
    assert verdict(EVALUATION | {"random": doubtful}).startswith("no better than random: mean return 0.9061")


def test_evaluation_in_a_hurry_stops_within_an_episode() -> None:
    class Held:
        def reset(self, seed: int) -> None:
            pass

        def __call__(self, observation: Any) -> int:
            raise AssertionError("no step was due")

    assert play_episode(gym.make("CartPole-v1"), Held(), 0, time.monotonic()) == 0.0


def test_run_ends_with_three_lines_and_a_page(corridor: BakedProject) -> None:
    short = ("--num-env-runners", "0", "--max-env-steps", "4000", "--stop-return", "9")
    done = corridor.command("train", "--name", "told", *short, check=True)
    *_, ended, learned, where, then = done.stdout.splitlines()
    assert ended.startswith("the limit of 4,000 environment steps is reached; ")
    assert re.match(
        r"learned: (no better than random: )?mean return \S+ \(\S+ to \S+\) over 20 fresh episodes; ", learned
    )
    assert where.startswith(f"it lies in {Path('runs/told')}: report.html, learning_curve.png, checkpoints/")
    assert then == "next: python -m corridor_demo evaluate told"
    run = corridor.path / "runs" / "told"
    evaluation = read_json(run / "evaluation.json")
    assert evaluation["episodes"] == 20 and evaluation["random"]["mean"] < 0
    found = Page(run / "report.html")
    assert learned.removeprefix("learned: ") in found.text
    assert f"<!-- random {evaluation['random']['mean']:.4g} -->" in found.pictures()[0]
    assert corridor.command("report", "told", check=True).stdout.splitlines()[-1].startswith("for the browser: ")
