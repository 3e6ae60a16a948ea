"""Every number of a run is what the environment saw, to the last digit, and a run that ends loses none of them."""

import csv
import json
import math
import re
import struct
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import BakedProject
from recording import events, expected_rows, make_recording, read_records

# Small batches: many iterations, of which some see no episode end, some one, some many.
SMALL = ("--set", "train_batch_size_per_learner=128", "--set", "minibatch_size=128", "--set", "num_epochs=1")
MODES = [
    ("corridor", 0, 1, "sync"),
    ("corridor", 2, 1, "sync"),
    ("corridor", 0, 3, "async"),
    ("corridor", 2, 2, "async"),
    ("vector", 0, 3, "vector_entry_point"),
    ("vector", 2, 2, "vector_entry_point"),
]


@pytest.fixture(scope="module")
def recording(bake: Callable[..., BakedProject]) -> Callable[[str], BakedProject]:
    """Returns a function that returns the recording project of a starter."""
    made: dict[str, BakedProject] = {}

    def project(starter: str) -> BakedProject:
        if starter not in made:
            made[starter] = make_recording(bake(project_name=f"Recording {starter}", starter=starter), starter)
        return made[starter]

    return project


def train(project: BakedProject, name: str, *options: str, **environment: str) -> str:
    """Trains, and returns what was printed."""
    environment |= {"RECORDED_RUN": name, "RECORDS": str(project.path / f"{name}.records")}
    done = project.command("train", "--name", name, *SMALL, *options, check=True, **environment)  # type: ignore[arg-type]
    assert not done.stderr
    return done.stdout


def rows_of(run: Path) -> list[dict[str, str]]:
    """Returns progress.csv as it stands there."""
    with (run / "progress.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize(
    ("starter", "runners", "copies", "mode"),
    [pytest.param(*one, marks=[] if one == MODES[0] else [pytest.mark.slow]) for one in MODES],
)
def test_numbers_are_what_the_environment_saw(
    recording: Callable[[str], BakedProject], starter: str, runners: int, copies: int, mode: str
) -> None:
    project, name = recording(starter), f"{mode}{runners}"
    options = ["--num-env-runners", str(runners), "--num-envs-per-env-runner", str(copies), "--vectorize-mode", mode]
    printed = train(project, name, *options, "--max-env-steps", "5000")
    printed += train(project, name, "--resume", "--max-env-steps", "8000")
    run, records = project.path / "runs" / name, read_records(project.path / f"{name}.records")
    rows, expected = rows_of(run), expected_rows(records)
    assert len(rows) == len(expected)
    for row, wanted in zip(rows, expected, strict=True):
        found = {column: None if row[column] == "" else float(row[column]) for column in wanted}
        assert found == wanted
    ended = Counter(one.iteration for one in records.episodes)
    assert {0, 1, 2} <= {ended[iteration] for iteration in records.steps} and max(ended.values()) > 2
    waits = ["starting Ray", "building the networks and the env runners", "sampling the first steps", "iteration 1 |"]
    assert [printed.count(line) for line in waits] == [2, 2, 2, 1]
    assert sorted(waits, key=printed.index) == waits
    assert_summary(run, expected[-1])
    assert_tensorboard(run, rows)
    for text in (printed, (run / "environment.log").read_text()):
        assert sorted(re.findall(r"\d+ \d+ \d+ has ended \d+", text)) == sorted(one.line for one in records.episodes)


def assert_summary(run: Path, last: dict[str, float | None]) -> None:
    """Asserts that summary.json says what the last row says."""
    summary = json.loads((run / "summary.json").read_text())
    assert summary["env_steps"] == last["env_steps"]
    assert summary["iterations"] == last["iteration"]
    assert summary["best_return"] == last["best_return"]
    assert summary["last_return"] == last["episode_return_mean"]
    assert summary["steps_per_second"] == pytest.approx(summary["env_steps"] / summary["seconds"], rel=1e-3)
    assert summary["seconds"] == float(rows_of(run)[-1]["seconds"])


def assert_tensorboard(run: Path, rows: list[dict[str, str]]) -> None:
    """Asserts that TensorBoard has what progress.csv has, in its float32, and nothing where that is empty."""
    found = events(run)
    for column in set(rows[0]) - {"iteration", "env_steps"}:
        wanted = {int(row["env_steps"]): as_float32(row[column]) for row in rows if row[column]}
        assert found.get(column, {}) == wanted, column
        assert not any(math.isnan(value) for value in wanted.values())


def as_float32(text: str) -> float:
    return struct.unpack("f", struct.pack("f", float(text)))[0]
