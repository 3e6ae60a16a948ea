"""A cluster of two Ray nodes, on this machine: both sample, one is killed, the run ends well."""

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import ray
import yaml
from conftest import BakedProject, clean_environment
from test_faults import children, end, iterations, start, wait_for_iteration

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

    def __init__(self, python: Path, folder: Path, *options: str) -> None:
        folder.mkdir()
        command = [str(python), "-c", "from ray.scripts.scripts import main; main()", "start", "--block"]
        self.log = folder / "log.txt"
        with self.log.open("w") as output:
            self.process = subprocess.Popen(
                [*command, "--num-cpus=1", "--disable-usage-stats", *options],
                cwd=folder,
                env=clean_environment() | TOKEN,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def kill(self) -> None:
        """Ends all its processes at once, as a power failure does."""
        for process in [*children(self.process.pid), self.process.pid]:
            try:
                os.kill(process, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self.process.wait()


@pytest.fixture(scope="module")
def demo(bake: Callable[..., BakedProject]) -> BakedProject:
    """The worked example, installed on the machine that the driver runs on."""
    return bake(project_name="Corridor Demo", starter="corridor").install()


@pytest.fixture
def cluster(bake: Callable[..., BakedProject], tmp_path: Path) -> Iterator[tuple[str, list[Node]]]:
    """Starts a head and a worker, each in a folder of its own; gives the address and the two."""
    bare = bake(project_name="Bare Machine")
    bare.make_venv()
    temporary = Path("/tmp") / f"ray{os.getpid()}"  # the paths of Unix sockets must be short
    head = Node(
        bare.python,
        tmp_path / "head",
        *("--head", "--port=0", f"--temp-dir={temporary}"),
        "--include-dashboard=false",
    )
    nodes = [head]
    try:
        wait_for("Ray runtime started", head)
        address = head.log.read_text().split("ray start --address='")[1].split("'")[0]
        worker = Node(bare.python, tmp_path / "worker", f"--address={address}", f"--node-ip-address={WORKER}")
        nodes.append(worker)
        wait_for("Ray runtime started", worker)
        yield address, nodes
    finally:
        for node in reversed(nodes):
            node.kill()


def wait_for(text: str, node: Node) -> None:
    """Waits until a node has logged a text."""
    deadline = time.monotonic() + 120
    while text not in node.log.read_text():
        assert time.monotonic() < deadline, node.log.read_text()
        assert node.process.poll() is None, node.log.read_text()
        time.sleep(0.2)


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="127.0.0.2 is another address only there")
def test_node_that_leaves_is_done_without(demo: BakedProject, cluster: tuple[str, list[Node]]) -> None:
    address, nodes = cluster
    options = ("--address", address, "--num-env-runners", "2", "--max-env-steps", "80000")
    process = start(demo, "two-nodes", *options, **TOKEN)
    wait_for_iteration(demo, "two-nodes", 3)
    samplers = [sum("EnvRunner" in line for line in command_lines(children(node.process.pid))) for node in nodes]
    assert samplers == [1, 1]  # both sample
    nodes[1].kill()
    killed, before = time.time(), len(iterations(demo, "two-nodes"))
    wait_for_iteration(demo, "two-nodes", before + 2)
    print(f"\nnode killed: {time.time() - killed:.1f} s to recovery, at most one iteration lost", file=sys.__stderr__)
    done = end(demo, "two-nodes", process)
    assert done.code == 0, done.output
    rows = iterations(demo, "two-nodes")
    assert rows == list(range(1, len(rows) + 1))
    assert json.loads(demo.read("runs/two-nodes/summary.json"))["env_steps"] >= 80000


def command_lines(process_ids: list[int]) -> list[str]:
    """Returns the command lines of processes."""
    numbers = ",".join(map(str, process_ids))
    return subprocess.run(["ps", "-o", "args=", "-p", numbers], capture_output=True, text=True).stdout.splitlines()


def test_wrong_address_is_one_line(demo: BakedProject) -> None:
    done = demo.command("train", "--name", "nowhere", "--address", f"127.0.0.1:{free_port()}")
    assert done.returncode == 1
    assert "Ray does not start at --address" in done.stderr
    assert "Traceback" not in done.stderr


def test_ray_up_file_keeps_to_rays_schema(demo: BakedProject) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads(Path(ray.__file__).with_name("autoscaler").joinpath("ray-schema.json").read_text())
    config = yaml.safe_load(demo.read("cluster/ray-up.yaml"))
    jsonschema.validate(config, schema)
    assert config["max_workers"] >= 1


def test_kuberay_file_has_what_kuberay_requires(demo: BakedProject) -> None:
    job = yaml.safe_load(demo.read("cluster/kuberay.yaml"))
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    assert job["metadata"]["name"] == "corridor-demo"
    assert "corridor_demo.train --address auto" in job["spec"]["entrypoint"]
    cluster = job["spec"]["rayClusterSpec"]
    assert cluster["rayVersion"] == ray.__version__
    workers = cluster["workerGroupSpecs"]
    for group in workers:
        assert group["groupName"] and group["minReplicas"] <= group["replicas"] <= group["maxReplicas"]
    for group in (cluster["headGroupSpec"], *workers):
        (container,) = group["template"]["spec"]["containers"]
        assert container["image"] == f"rayproject/ray:{ray.__version__}-py311"
        assert container["resources"]["limits"]
