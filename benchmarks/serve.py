"""What HTTP costs: latency and requests per second of `serve`, beside the bare policy.

    .venv/bin/python benchmarks/serve.py

A baked project trains CartPole for a few seconds, then its command `serve` answers 1 and 64 clients. Each client is a
connection that sends its next request when it has the answer to the last; all of them run in this process, on the
machine's own cores.
"""

import argparse
import asyncio
import json
import os
import platform
import subprocess
import tempfile
import time
from importlib import metadata
from pathlib import Path

import numpy as np
from tasks import PANEL, BakedProject, clean_environment, panel_project

BODY = b'{"observation": [0.01, -0.02, 0.03, -0.04]}'
REQUEST = b"POST /act HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(BODY) + BODY
BARE = """
import json, time
import numpy as np
import torch
from {package} import load_policy

torch.set_num_threads(1)
policy = load_policy("served")
found = {{}}
for clients in {clients}:
    observations = [np.array([0.01, -0.02, 0.03, -0.04], np.float32)] * clients
    seconds = []
    while sum(seconds) < {seconds}:
        begin = time.perf_counter()
        policy.batch(observations)
        seconds.append(time.perf_counter() - begin)
    found[clients] = seconds
print(json.dumps(found))
"""


async def client(port: int, end: float, seconds: list[float]) -> None:
    """Sends requests until a time, and notes how long each answer took."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while (begin := time.perf_counter()) < end:
        writer.write(REQUEST)
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200"), head
        length = next(line for line in head.lower().splitlines() if line.startswith(b"content-length"))
        await reader.readexactly(int(length.split(b":")[1]))
        seconds.append(time.perf_counter() - begin)
    writer.close()


async def load(port: int, clients: int, duration: float) -> list[float]:
    """Returns how long each request of the clients took, in seconds."""
    seconds: list[float] = []
    end = time.perf_counter() + duration
    await asyncio.gather(*(client(port, end, seconds) for _ in range(clients)))
    return seconds


def served(project: BakedProject, clients: list[int], duration: float) -> dict[int, list[float]]:
    """Starts the server; returns the seconds of each request, for each number of clients."""
    command = [str(project.python), "-m", project.package, "serve", "served", "--port", "0"]
    begin = time.perf_counter()
    with subprocess.Popen(
        command, cwd=project.path, env=clean_environment(), text=True, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout
        port = int(process.stdout.readline().split(": ")[0].rpartition(":")[2])
        asyncio.run(load(port, 1, 1.0))  # the first answers take longer
        print(f"up after {time.perf_counter() - begin - 1.0:.1f} s")
        found = {count: asyncio.run(load(port, count, duration)) for count in clients}
        process.terminate()
    return found


def row(name: str, seconds: list[float], actions: float) -> str:
    """Returns a row of the table."""
    middle, late = 1e3 * np.percentile(seconds, [50, 99])
    return f"| {name} | {middle:.2f} ms | {late:.2f} ms | {actions:,.0f} |"


def main() -> None:
    """Measures and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--clients", type=int, nargs="*", default=[1, 64])
    parser.add_argument("--seconds", type=float, default=10.0, help="of each row; default: %(default)s")
    options = parser.parse_args()
    names = ("torch", "starlette", "uvicorn", "h11")
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in names)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    print(f"Python {platform.python_version()}, {versions}; {cores} cores")
    with tempfile.TemporaryDirectory() as folder:
        project = panel_project(Path(folder))
        PANEL[0].write(project)
        project.command("train", "--name", "served", "--max-env-steps", "2000", check=True)
        code = BARE.format(package=project.package, clients=options.clients, seconds=options.seconds)
        bare = json.loads(project.run("-c", code, check=True).stdout)
        found = served(project, options.clients, options.seconds)
    print("| | median | 99th percentile | actions/s |\n" + "|---" * 4 + "|")
    for count in options.clients:
        seconds = bare[str(count)]
        print(row(f"policy.batch of {count}", seconds, count * len(seconds) / sum(seconds)))
        print(row(f"serve, {count} clients", found[count], len(found[count]) / options.seconds))


if __name__ == "__main__":
    main()
