"""The first seconds of `train`: what is loaded, in which order, and that nothing learned depends on it."""

import contextlib
import gc
import importlib
import os
import random
import subprocess
import sys
import threading
import time
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from conftest import PACKAGE, clean_environment

torch = pytest.importorskip("torch")
adam = pytest.importorskip("kit.rllib.adam")
seeding = pytest.importorskip("kit.rllib.seeding")
start = pytest.importorskip("kit.training.start")
Run = pytest.importorskip("kit.training.run").Run


def learn(optimizer_class: Any, steps: int, state: Any = None, weights: Any = None) -> tuple[Any, Any]:
    """Takes steps of an optimizer; returns its state and the weights."""
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1))
    optimizer = optimizer_class(network.parameters(), lr=0.01, fused=True)
    if state is not None:
        network.load_state_dict(weights)
        optimizer.load_state_dict(state)
    batch = torch.rand(16, 4, generator=torch.Generator().manual_seed(1))
    for _ in range(steps):
        optimizer.zero_grad()
        (network(batch) - batch.sum(1, keepdim=True)).square().mean().backward()
        optimizer.step()
    return optimizer.state_dict(), network.state_dict()


def test_adam_is_torchs() -> None:
    ours, theirs = learn(adam.Adam, 5), learn(torch.optim.Adam, 5)
    assert ours[0]["param_groups"] == theirs[0]["param_groups"]
    for our, their in zip(
        (ours[1], *ours[0]["state"].values()), (theirs[1], *theirs[0]["state"].values()), strict=True
    ):
        assert our.keys() == their.keys() and all(torch.equal(our[name], their[name]) for name in our)


@pytest.mark.parametrize(("first", "then"), [(torch.optim.Adam, adam.Adam), (adam.Adam, torch.optim.Adam)])
def test_adam_and_torchs_go_on_from_each_others_states(first: Any, then: Any) -> None:
    whole, continued = learn(first, 8)[1], learn(then, 3, *learn(first, 5))[1]
    assert all(torch.equal(whole[name], continued[name]) for name in whole)


@pytest.fixture
def restored() -> Any:
    """Puts back what RLlib's seeding changes in torch."""
    yield
    torch.use_deterministic_algorithms(False)


@pytest.mark.parametrize("worker_index", [0, 2])
def test_seed_is_what_rllib_makes_of_it(restored: None, worker_index: int) -> None:
    from ray.rllib.algorithms.ppo import PPOConfig
    from ray.rllib.utils.debug.deterministic import update_global_seed_if_necessary

    def draws() -> tuple[Any, ...]:
        return random.random(), np.random.random(), *torch.rand(3).tolist()

    update_global_seed_if_necessary("torch", 5 + worker_index)
    theirs = draws()
    config = PPOConfig().learners(learner_config_dict={"own": 1}).debugging(seed=5)
    seeding.take_over_seed(config)
    assert config.seed is None and config.learner_config_dict["own"] == 1 and seeding.seed_of(config) == 5
    seeding.seed_process(config, worker_index)
    assert draws() == theirs


def test_without_a_seed_nothing_is_seeded() -> None:
    from ray.rllib.algorithms.ppo import PPOConfig

    seeding.take_over_seed(config := PPOConfig())
    state = random.getstate()
    seeding.seed_process(config)
    assert random.getstate() == state


def test_what_is_loaded_while_ray_starts_loads_nothing_of_ray() -> None:
    code = f"import sys, {', '.join(start.MEANWHILE)}; print(*(name for name in sys.modules if name.startswith('ray')))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "\n"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells a process its children")
def test_autoscaler_is_found_and_nothing_of_ray_is_left() -> None:
    code = """
from pathlib import Path
from kit.training import start
start.start_ray(None, None, idle_workers=False)
commands = [Path(f"/proc/{child}/cmdline").read_bytes() for child in start._children()]
start.stop_ray()
print([start.AUTOSCALER in command for command in commands].count(True), len(commands) > 1, start._children())
"""
    env = clean_environment() | {"PYTHONPATH": str(PACKAGE)}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1:] == ["1 True []"], done.stderr


def test_environment_is_measured_with_the_threads_that_it_is_trained_with(monkeypatch: pytest.MonkeyPatch) -> None:
    for given, expected in [(None, "1"), ("3", "3")]:
        monkeypatch.setattr(os, "environ", {} if given is None else {"OMP_NUM_THREADS": given})
        options = SimpleNamespace(debug=False, hang_seconds=1.0, strict=False)
        Run.__enter__(cast(Any, SimpleNamespace(options=options, _interrupt=contextlib.nullcontext())))
        assert os.environ["OMP_NUM_THREADS"] == expected


def test_failing_import_is_told_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(name: str) -> None:
        raise ImportError(f"{name} is broken")

    monkeypatch.setattr(importlib, "import_module", fail)
    monkeypatch.setattr(start, "_init_ray", lambda *_: None)
    with pytest.raises(ImportError, match="^torch is broken$"):
        start.start_ray(None, SimpleNamespace())


def test_no_import_is_left_half_done(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the one under way the end is waited for, whatever happens meanwhile; those that would follow are left out."""
    begun, done = threading.Event(), []

    def load(name: str) -> None:
        begun.set()
        time.sleep(0.2)
        done.append(name)

    monkeypatch.setattr(importlib, "import_module", load)
    with pytest.raises(KeyError), start.importing("first", "second"):
        begun.wait()
        assert not gc.isenabled()
        raise KeyError
    assert done == ["first"] and gc.isenabled()
