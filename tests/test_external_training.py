"""The starter `external`, trained: simulators that are killed, and none that is left behind."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import BakedProject, clean_environment

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
ENDLESS = ("--stop-return", "none", "--num-envs-per-env-runner", "4")


def processes(*words: str) -> set[int]:
    """Returns the processes whose command lines have all the words."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if all(word in line for word in words):
            found.add(int(path.parent.name))
    return found


def simulators(project: BakedProject) -> set[int]:
    """Returns the simulators of a project that run."""
    return processes(str(project.source / "simulator.py"))


def wait_for(condition: Callable[[], object], seconds: float = 120.0) -> None:
    """Waits until something is so."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def rows(project: BakedProject, name: str) -> int:
    """Returns how many iterations a run has finished."""
    file = project.path / "runs" / name / "progress.csv"
    return max(len(file.read_text().splitlines()) - 1, 0) if file.exists() else 0


@pytest.fixture
def train(external: BakedProject) -> Iterator[Callable[..., "subprocess.Popen[str]"]]:
    """Returns a function that starts a training and waits for its second iteration."""
    started = []

    def start(name: str, *options: str) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [str(external.python), "-m", external.package, "train", "--name", name, *ENDLESS, *options],
            cwd=external.path,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            env=clean_environment(),
        )
        started.append(process)
        wait_for(lambda: rows(external, name) >= 2 or process.poll() is not None)
        assert process.poll() is None, process.communicate()[0]
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


def test_killed_simulator_costs_an_episode_and_a_second_one_in_a_minute_the_run(
    external: BakedProject, train: Callable[..., "subprocess.Popen[str]"]
) -> None:
    process = train("killed", "--num-env-runners", "0")
    os.kill(min(simulators(external)), signal.SIGKILL)
    seen = rows(external, "killed")
    wait_for(lambda: rows(external, "killed") >= seen + 2)
    assert process.poll() is None
    log = external.read("runs/killed/environment.log")
    assert re.search(
        r"an episode is dropped, in step \d+ of episode \d+ of its copy, seed \d+: the simulator fails: ", log
    )
    assert "it was ended by SIGKILL, asked for step" in log
    assert len(simulators(external)) == 4
    os.kill(min(simulators(external)), signal.SIGKILL)
    output = process.communicate(timeout=60)[0]
    assert process.returncode == 1, output
    assert "restarts before: 1; 10 in a run and one in 60 s are allowed" in output
    assert "Traceback" not in output
    assert "restarts before: 1" in json.loads(external.read("runs/killed/failure.json"))["message"]
    wait_for(lambda: not simulators(external), seconds=2.0)


def test_contract_finds_nothing(external: BakedProject) -> None:
    report = json.loads(external.command("check", "--json").stdout)
    assert report["ok"] and not report["failures"]
    assert not simulators(external)


DROPPED = """
import os, signal
from tank_demo import TASK
from tank_demo.kit.guard import child_log
from tank_demo.kit.rllib.config import algorithm_config
from tank_demo.kit.rllib.sampled import SAMPLED
from tank_demo.kit.vectorization.settings import Vectorization

def children(process):
    return [int(child) for child in open(f"/proc/{process}/task/{process}/children").read().split()]

def is_simulator(process):
    return "/simulator.py\\0" in open(f"/proc/{process}/cmdline").read()

for mode, is_ours in (("sync", True), ("sync", False), ("async", True)):
    os.environ[child_log.RUN] = f"dropped-{mode}-{is_ours}-{os.getpid()}"
    config = algorithm_config(TASK, Vectorization(0, 2, mode, ""), seed=0, env_config={})
    if not is_ours:
        config.callbacks(on_episode_step=lambda **_: None)
    runner = config.env_runner_cls(config=config, worker_index=0, num_workers=0)
    assert runner._is_plain == is_ours
    runner.sample(num_timesteps=20, random_actions=False)
    ongoing = {episode.id_ for episode in runner._ongoing_episodes}
    found = [two for one in children(os.getpid()) for two in (one, *children(one)) if is_simulator(two)]
    assert len(found) == 2
    os.kill(found[0], signal.SIGKILL)
    runner.metrics.reduce()
    episodes = runner.sample(num_timesteps=60, random_actions=False)
    assert len(ongoing - {episode.id_ for episode in episodes}) == 1, "one of the two is dropped"
    assert runner.metrics.peek(SAMPLED)[-1].env_steps == sum(map(len, episodes))
    assert not any(episode.is_truncated for episode in episodes)
    runner.stop()
    child_log.clean()
    print(mode, is_ours)
"""


def test_broken_episode_is_in_no_batch(external: BakedProject) -> None:
    """Neither in one of batched sampling nor of RLlib's own, nor of copies in processes; its steps count nowhere."""
    assert external.run("-c", DROPPED, check=True).stdout.splitlines() == ["sync True", "sync False", "async True"]
    assert not simulators(external)


@pytest.mark.slow
def test_train_with_simulators_that_run_already(external: BakedProject) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = subprocess.Popen([str(external.python), str(external.source / "simulator.py"), "--listen", str(port)])
    try:
        wait_for(lambda: socket.socket().connect_ex(("127.0.0.1", port)) == 0)
        config = ("--config", json.dumps({"address": f"127.0.0.1:{port}"}))
        external.command("train", "--name", "there", *ENDLESS, "--max-env-steps", "2000", *config, check=True)
        assert simulators(external) == {server.pid}
    finally:
        server.kill()
        server.wait()
    done = external.command("evaluate", "there", "--episodes", "2")
    assert done.returncode == 1
    assert done.stderr.startswith(f"ERROR: the simulator at 127.0.0.1:{port} can't be reached")
    assert len(done.stderr.splitlines()) == 1


MODES = {"here": ("--num-env-runners", "0"), "two runners": ("--num-env-runners", "2"), "async": (
    "--num-env-runners", "0", "--vectorize-mode", "async")}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("end", ["SIGKILL", "SIGINT"])
def test_no_simulator_outlives_the_driver(
    external: BakedProject, train: Callable[..., "subprocess.Popen[str]"], end: str, mode: str
) -> None:
    process = train(f"{end}-{mode}".replace(" ", "-"), *MODES[mode])
    assert simulators(external)
    os.killpg(process.pid, signal.SIGINT) if end == "SIGINT" else process.kill()
    process.wait(60.0)
    wait_for(lambda: not simulators(external), seconds=2.0)


@pytest.mark.slow
def test_no_simulator_outlives_an_env_runner(
    external: BakedProject, train: Callable[..., "subprocess.Popen[str]"]
) -> None:
    process = train("runner", *MODES["two runners"])
    runner = min(processes("ray::", "EnvRunner"))
    children = Path(f"/proc/{runner}/task").glob("*/children")
    theirs = {int(child) for path in children for child in path.read_text().split()} & simulators(external)
    assert theirs
    os.kill(runner, signal.SIGKILL)
    wait_for(lambda: not theirs & simulators(external), seconds=2.0)
    seen = rows(external, "runner")
    wait_for(lambda: rows(external, "runner") >= seen + 2)  # another env runner with other simulators goes on
    os.killpg(process.pid, signal.SIGINT)
    process.wait(60.0)
