"""A cluster of two Ray nodes, on this machine: both sample, one is killed, the run ends well."""

import json
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import ray
import yaml
from conftest import PACKAGE, BakedProject, clean_environment
from faults import TABLE, assert_whole, end, env_runners, iterations, kill, start, wait_for_iteration
from test_faults import DEADLINE_SECONDS, EXCEPTION, ITERATION_STEPS, SLACK

# Ray's ports are open to the network here, as a cluster's are: only who has this token may join or give orders.
TOKEN = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
WORKER = "127.0.0.2"  # another address of this machine stands for another machine


def free_port() -> int:
    """Returns a port that nobody listens at."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


class Node:
    """One Ray node, which does not have the project installed."""

    def __init__(self, python: Path, folder: Path, options: list[str], environment: dict[str, str]) -> None:
        folder.mkdir()
        command = [str(python), "-c", "from ray.scripts.scripts import main; main()", "start", "--block"]
        self.log, self.mark = folder / "log.txt", str(folder)
        with self.log.open("w") as output:
            self.process = subprocess.Popen(
                [*command, "--disable-usage-stats", *options],
                cwd=folder,
                env=clean_environment() | TOKEN | {"TESTED_RUN": self.mark} | environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def kill(self) -> None:
        """Ends all its processes at once, as a power failure does."""
        kill(self.mark)
        self.process.wait()


@pytest.fixture(scope="module")
def bare(bake: Callable[..., BakedProject]) -> Path:
    """The Python of a machine that has Ray, but not the project."""
    machine = bake(project_name="Bare Machine")
    machine.make_venv()
    return machine.python


@contextmanager
def two_nodes(bare: Path, folder: Path, **environment: str) -> Iterator[tuple[str, list[Node]]]:
    """Starts a head with one CPU and a worker with two, each in a folder of its own; gives the address and the two."""
    temporary = Path("/tmp") / f"ray{secrets.token_hex(3)}"  # the paths of Unix sockets must be short
    options = ["--head", "--port=0", "--num-cpus=1", f"--temp-dir={temporary}", "--include-dashboard=false"]
    nodes = [Node(bare, folder / "head", options, environment)]
    try:
        wait_for("Ray runtime started", nodes[0])
        address = nodes[0].log.read_text().split("ray start --address='")[1].split("'")[0]
        options = [f"--address={address}", "--num-cpus=2", f"--node-ip-address={WORKER}"]
        nodes.append(Node(bare, folder / "worker", options, environment))
        wait_for("Ray runtime started", nodes[1])
        yield address, nodes
    finally:
        for node in reversed(nodes):
            node.kill()
        shutil.rmtree(temporary, ignore_errors=True)


def wait_for(text: str, node: Node) -> None:
    """Waits until a node has logged a text."""
    deadline = time.monotonic() + 120
    while text not in node.log.read_text():
        assert time.monotonic() < deadline, node.log.read_text()
        assert node.process.poll() is None, node.log.read_text()
        time.sleep(0.2)


linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="127.0.0.2 is another address only there")


@linux
@pytest.mark.slow
def test_node_that_leaves_is_done_without(faulty: BakedProject, bare: Path, tmp_path: Path) -> None:
    name = "two-nodes"
    count = {"COUNT_FILE": str(faulty.path / f"{name}.count")}
    with two_nodes(bare, tmp_path, **count) as (address, nodes):
        options = ("--address", address, "--num-env-runners", "3", "--max-env-steps", "80000")
        process = start(faulty, name, *options, **TOKEN)
        wait_for_iteration(faulty, name, 3)
        assert [len(env_runners(node.mark)) for node in nodes] == [1, 2]  # both sample
        nodes[1].kill()
        killed, before = time.time(), len(iterations(faulty, name))
        wait_for_iteration(faulty, name, before + 2)
        seconds = time.time() - killed
        done = end(faulty, name, process)
    TABLE.append(("one of two nodes is killed", seconds, done.lost))
    assert done.code == 0, done.output
    assert_whole(faulty, name)
    assert json.loads(faulty.read(f"runs/{name}/summary.json"))["env_steps"] >= 80000
    assert done.lost <= ITERATION_STEPS


@linux
@pytest.mark.slow
def test_raise_in_one_runner_of_three_ends_the_run(faulty: BakedProject, bare: Path, tmp_path: Path) -> None:
    name = "one-of-three"
    files = {f"{kind.upper()}_FILE": str(faulty.path / f"{name}.{kind}") for kind in ("fault", "count")}
    with two_nodes(bare, tmp_path, FAULT="raise:500:2", **files) as (address, _):
        options = ("--address", address, "--num-env-runners", "3", "--num-envs-per-env-runner", "1")
        done = end(faulty, name, start(faulty, name, *options, **TOKEN))
    TABLE.append(("raise in one runner of three, on two nodes", done.seconds, done.lost))
    assert done.code == 1, done.output
    assert EXCEPTION in done.output and "in step" in done.output
    assert "env.py" in done.output and ", in fail" in done.output
    assert done.seconds < DEADLINE_SECONDS * SLACK


@pytest.mark.slow
def test_cpus_are_shared_with_other_jobs_and_with_learners() -> None:
    """Those of other jobs are not counted until they are given back, and learners take theirs from the env runners."""
    code = """
from types import SimpleNamespace

import ray
from kit.errors import RunError
from kit.training.cluster import beside_learners, cluster_cpus
from kit.vectorization.settings import Vectorization

ray.init(num_cpus=3, include_dashboard=False, _node_ip_address="127.0.0.1")
found = [cluster_cpus()]
other = ray.remote(num_cpus=2)(type("Other", (), {"is_there": lambda self: True})).remote()
assert ray.get(other.is_there.remote())
found.append(cluster_cpus())
ray.kill(other)
print(*found, cluster_cpus(wanted=3), cluster_cpus(wanted=300))

for learners, gpus, cpus in [(0, 0, "auto"), (1, 0, "auto"), (3, 0, 1), (2, 0, 0.5), (4, 0, "auto"), (0, 1, 0), (2, 0.5, 0)]:
    config = SimpleNamespace(num_learners=learners, num_gpus_per_learner=gpus, num_cpus_per_learner=cpus)
    try:
        fitted = beside_learners(Vectorization(3, 2, "sync", "as chosen"), config)
        print(fitted.num_env_runners, fitted.reason)
    except RunError as error:
        print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=clean_environment() | {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "PYTHONPATH": str(PACKAGE)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.stdout.splitlines() == [
        "3 1 3 3",
        "3 as chosen",
        "2 vectorization: 2 processes instead of 3: num_learners=1 take 1 CPUs, and 2 are free",
        "0 vectorization: 0 processes instead of 3: num_learners=3 take 3 CPUs, and 0 are free",
        "2 vectorization: 2 processes instead of 3: num_learners=2 take 1 CPUs, and 2 are free",
        "ppo.py: num_learners=4 take 4 CPUs, and 3 are free; write fewer",
        "ppo.py: num_gpus_per_learner=1, but this machine has none; write 0",
        "ppo.py: num_gpus_per_learner=0.5, but Ray has 0 of 1 GPUs; write 0",
    ], done.stderr


def test_wrong_address_is_one_line(corridor: BakedProject) -> None:
    done = corridor.command("train", "--name", "nowhere", "--address", f"127.0.0.1:{free_port()}")
    assert done.returncode == 1
    assert "Ray does not start at --address" in done.stderr
    assert "Traceback" not in done.stderr


def test_ray_up_file_keeps_to_rays_schema(corridor: BakedProject) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads(Path(ray.__file__).with_name("autoscaler").joinpath("ray-schema.json").read_text())
    config = yaml.safe_load(corridor.read("cluster/ray-up.yaml"))
    jsonschema.validate(config, schema)
    assert config["max_workers"] >= 1


def test_kuberay_file_has_what_kuberay_requires(corridor: BakedProject) -> None:
    job = yaml.safe_load(corridor.read("cluster/kuberay.yaml"))
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    assert job["metadata"]["name"] == "corridor-demo"
    assert "corridor_demo train --address auto" in job["spec"]["entrypoint"]
    cluster = job["spec"]["rayClusterSpec"]
    assert cluster["rayVersion"] == ray.__version__
    workers = cluster["workerGroupSpecs"]
    for group in workers:
        assert group["groupName"] and group["minReplicas"] <= group["replicas"] <= group["maxReplicas"]
    for group in (cluster["headGroupSpec"], *workers):
        (container,) = group["template"]["spec"]["containers"]
        assert container["image"] == f"rayproject/ray:{ray.__version__}-py311"
        assert container["resources"]["limits"]
