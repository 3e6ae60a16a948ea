"""The picture and the page of a run, of several runs, and the three lines that `train` ends with."""

import base64
import csv
import json
import math
import re
import time
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from conftest import BakedProject
from kit.commands import report
from kit.files import write_json
from kit.training import outcome
from kit.training.curve import draw_curve, label_places, panels, y_limits
from kit.training.page import MOST_VIDEO_BYTES, verdict, write_run
from kit.training.run_folder import RunFolder

SHORT = ("--num-env-runners", "0", "--max-env-steps", "4000")
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
    folder.checkpoint("best").mkdir(parents=True)
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
