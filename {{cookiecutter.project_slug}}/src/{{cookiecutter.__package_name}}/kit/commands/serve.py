"""Answers with a policy's actions over HTTP."""

import signal
import socket
import sys
from collections.abc import Sequence

from ..cli import Parser, whole_number
from ..errors import RunError, UsageError
from ..policy.find import find_policy
from ..task import Task

LARGE = 1_000_000  # weights, from which on a batch is worth more than one CPU


def main(task: Task, arguments: Sequence[str] | None = None) -> int:
    """Serves until Ctrl-C or SIGTERM; returns the exit code."""
    command = task.command("serve")
    parser = Parser(prog=command, description=__doc__, epilog=f"example: {command} first --port 8080")
    parser.add_argument("policy", nargs="?", help="a run's name, or a folder (default: the newest run's best)")
    parser.add_argument("--host", default="127.0.0.1", help="default: %(default)s, which only this machine reaches")
    parser.add_argument("--port", type=whole_number(0), default=8000, help="default: %(default)s; 0: any free one")
    options = parser.parse_args(arguments)
    try:
        from ..serving import server_of
    except ModuleNotFoundError as error:
        raise UsageError(f'serve needs {error.name}: pip install -e ".[serve]"') from None
    folder = find_policy(options.policy, task.env_id)
    with listen(options.host, options.port) as listening:
        import torch  # late: a misspelt run is told before

        from ..policy.folder import load_folder

        policy = load_folder(folder)
        if sum(weights.numel() for weights in policy.actor.parameters()) < LARGE:
            torch.set_num_threads(1)
        host, port = listening.getsockname()[:2]
        if not host.startswith("127.") and host != "::1":
            print(f"WARNING: no authentication: whoever reaches {host} can use the policy", file=sys.stderr)
        where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        print(f"{folder} at http://{where}: POST /act, GET /spec, GET /health; Ctrl-C ends it", flush=True)
        # uvicorn ends in order, then raises the signal again
        for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 0)):
            signal.signal(number, lambda *_, code=code: sys.exit(code))
        server_of(policy).run(sockets=[listening])
    return 0


def listen(host: str, port: int) -> socket.socket:
    """Returns a socket that listens there; raises UsageError for a port that can't be, RunError for what is taken."""
    try:
        listening = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OverflowError:
        raise UsageError(f"argument --port: expected at most 65535, got {port}") from None
    except OSError as error:
        raise RunError(f"can't listen at {host}, port {port}: {error}; give another --port or --host") from None
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # else an answer may take 40 ms
    return listening
