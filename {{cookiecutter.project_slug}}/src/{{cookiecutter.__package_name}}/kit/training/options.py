"""The options of `train`: what the command line says, what an earlier start of the run said, and what config.json keeps."""

import shlex
from argparse import Namespace
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from ..vectorization import settings as vectorization
from ..cli import Parser, UsageError, finite_number, positive_seconds, whole_number
from ...env import REWARD_THRESHOLD
from ..guard.failure import PACKAGE
from ...registration import ENV_ID
from ..files import read_json
from .run_folder import RunFolder, versions

COMMAND = ("python", "-m", f"{PACKAGE}.train")
DEFAULTS: dict[str, Any] = {
    "seed": 0,
    "stop_return": REWARD_THRESHOLD,
    "max_env_steps": 1_000_000,
    "max_seconds": None,
    "hang_seconds": 300.0,
    "storage": None,
    **dict.fromkeys(vectorization.KEYS),
}


def parse(arguments: Sequence[str] | None) -> Namespace:
    """Reads the command line; what is not given is None."""
    parser = Parser(prog=" ".join(COMMAND), description="Trains a policy with PPO.")
    parser.add_argument("--name", help="the run's folder below runs/ (default: the date and time)")
    parser.add_argument("--seed", type=whole_number(0), help=f"default: {DEFAULTS['seed']}")
    parser.add_argument("--stop-return", type=finite_number, metavar="R", help=f"default: {DEFAULTS['stop_return']}")
    parser.add_argument("--max-env-steps", type=whole_number(1), metavar="N", help="default: 1,000,000")
    parser.add_argument("--max-seconds", type=positive_seconds, metavar="S", help="default: no limit")
    parser.add_argument("--resume", action="store_true", help="go on with the run --name, or with the newest")
    for key in vectorization.KEYS:
        parser.add_argument(vectorization.flag(key), dest=key, help=f"goes before {vectorization.FILE}")
    parser.add_argument("--address", help='of a Ray cluster, such as "auto" (default: this machine alone)')
    parser.add_argument(
        "--hang-seconds",
        type=positive_seconds,
        metavar="S",
        help=f"a reset or step that takes longer ends the run; default: {DEFAULTS['hang_seconds']:g}",
    )
    parser.add_argument(
        "--storage", metavar="URI", help="keep a copy of the run there: a folder, s3://bucket/path, ..."
    )
    parser.add_argument(
        "--keep-going", action="store_true", help="after a failure of the environment, go on from the last checkpoint"
    )
    parser.add_argument("--debug", action="store_true", help="all in this process, so that breakpoints work")
    return parser.parse_args(arguments)


def places(options: Namespace) -> tuple[RunFolder, Any, dict[str, Any]]:
    """Returns the run's folder, its Storage or None, and DEFAULTS with what an earlier start and this command say.

    Raises:
        UsageError: the run to resume is not there, or the name of a new one is taken.
    """
    given = {key: value for key in DEFAULTS if (value := getattr(options, key)) is not None}
    folder = RunFolder.earlier(options.name) if options.resume else RunFolder.new(options.name)
    saved = saved_options(folder) if options.resume else {}
    storage, uri = None, (DEFAULTS | saved | given)["storage"]
    if uri:
        from .storage import Storage  # late: few need pyarrow

        storage = Storage(uri, folder.path.name)
        if options.resume:
            storage.fetch(folder)
            saved = saved_options(folder)
        elif storage.has_copy():
            raise UsageError(f"{storage.where} exists; go on with it by --resume, or choose another --name")
    if options.resume and not folder.path.is_dir():
        raise UsageError(f"there is no run {folder.path}; start it without --resume")
    return folder, storage, DEFAULTS | saved | given


def saved_options(folder: RunFolder) -> dict[str, Any]:
    """Returns the options that a run was started with."""
    path = folder.path / "config.json"
    options = read_json(path)["options"] if path.exists() else {}
    return {key: value for key, value in options.items() if value is not None}


def config_of(limits: Mapping[str, Any], fitted: vectorization.Vectorization, options: Namespace) -> dict[str, Any]:
    """Returns what config.json holds; its "command" does the same run again, whatever is "auto" or the default by then."""
    words = list(COMMAND)
    for key, value in limits.items():
        if value is not None and key not in vectorization.KEYS:
            words += [f"--{key.replace('_', '-')}", str(value)]
    for key in vectorization.KEYS:
        words += [vectorization.flag(key), str(getattr(fitted, key))]
    words += ["--address", options.address] if options.address else []
    words += ["--keep-going"] if options.keep_going else []
    return {
        "env_id": ENV_ID,
        "command": shlex.join(words),
        "started": datetime.now().isoformat(timespec="seconds"),
        "options": limits,
        "vectorization": asdict(fitted),
        "versions": versions(),
    }
