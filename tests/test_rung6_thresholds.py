"""Rung 6: each baked example reaches its threshold untuned, acts far better than at random, and leaves no process."""

import json
from typing import Any

import psutil
import pytest
from conftest import BakedProject

PIXELS = ("--config", '{"pixels": true}', "--max-env-steps", "200_000")


def assert_solved(project: BakedProject, name: str, policy: float, random: float) -> dict[str, Any]:
    """Fails unless a run ended at its threshold, with a policy above and random actions below these mean returns."""
    summary = project.summary(name)
    assert summary["ended_by"].startswith("solved")
    assert summary["seconds_to_stop_return"] <= summary["seconds"] <= summary["seconds_total"]
    report = json.loads(project.command("evaluate", name, "--episodes", "50", "--json", check=True).stdout)
    assert report["policy"]["mean"] > policy and random > report["random"]["mean"]
    return summary


def test_corridor_reaches_its_threshold(trained: BakedProject) -> None:
    assert_solved(trained, "first", 0.0, 0.0)


def test_vector_reaches_its_threshold_and_is_stepped_at_once(vector: BakedProject) -> None:
    done = vector.command("train", "--name", "first", check=True)
    assert "vector_entry_point" in done.stdout.splitlines()[1]
    summary = assert_solved(vector, "first", 0.1, 0.1)
    assert summary["vectorization"]["gym_env_vectorize_mode"] == "vector_entry_point"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("starter", "options", "policy", "random"),
    [
        ("vector", ("--num-env-runners", "2"), 0.1, 0.1),
        ("multi_agent", ("--num-env-runners", "0", "--max-seconds", "120"), 0.6, 0.0),
        ("multi_agent", ("--num-env-runners", "2", "--max-seconds", "120"), 0.6, 0.0),
        *(("external", ("--seed", seed, "--max-env-steps", "100_000"), 75.0, 75.0) for seed in ("1", "2", "3")),
        ("intercept", ("--seed", "1", "--max-env-steps", "200_000"), 1.0, 0.0),
        ("intercept", ("--seed", "1", *PIXELS), 1.0, 0.0),
    ],
    ids=lambda value: "".join(value[1:2]) if isinstance(value, tuple) else None,
)
def test_starter_reaches_its_threshold_and_all_that_follows_works(
    request: pytest.FixtureRequest, starter: str, options: tuple[str, ...], policy: float, random: float
) -> None:
    project: BakedProject = request.getfixturevalue(starter)
    name = f"run-{len(list(project.path.glob('runs/*')))}"
    project.command("train", "--name", name, *options, check=True, timeout=3600)
    summary = assert_solved(project, name, policy, random)
    if starter in ("vector", "intercept"):
        films = json.loads(project.command("evaluate", name, "--video", "--json", check=True).stdout)["videos"]
        assert all((project.path / film).stat().st_size > 1_000 for film in films.values())
    longer = ("--stop-return", "none", "--max-env-steps", str(summary["env_steps"] + 2000))
    project.command("train", "--name", name, "--resume", *longer, check=True)
    assert project.summary(name)["env_steps"] >= summary["env_steps"] + 2000
    project.command("export", name, check=True)
    assert list((project.path / "runs" / name).glob("policy*.onnx"))
    left = psutil.process_iter(["cmdline"])
    assert not [process for process in left if str(project.path) in " ".join(process.info["cmdline"] or ())]
