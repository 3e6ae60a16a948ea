"""How results are kept: a line of JSON each, with what they depend on besides what they measure."""

import json
import os
import platform
import subprocess
import time
from importlib import metadata
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).with_name("results")
Result = dict[str, Any]


def load(path: Path) -> list[Result]:
    """Returns the results so far."""
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else []


def save(path: Path, results: list[Result]) -> None:
    """Writes a result a line, all or nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(".new")
    new.write_text("[\n" + ",\n".join(json.dumps(result) for result in results) + "\n]\n", encoding="utf-8")
    new.replace(path)


def circumstances(*packages: str) -> dict[str, Any]:
    """Returns the date, the template's commit, the machine and the versions of Python and of packages."""
    describe = ["git", "describe", "--always", "--dirty", "--exclude=*"]
    git = subprocess.run(describe, cwd=Path(__file__).parent, capture_output=True, text=True)
    cpu_info = Path("/proc/cpuinfo")  # of Linux
    lines = cpu_info.read_text(encoding="utf-8").splitlines() if cpu_info.exists() else []
    models = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return {
        "date": time.strftime("%Y-%m-%d"),
        "commit": git.stdout.strip(),
        "machine": models[0] if models else platform.processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "versions": {"Python": platform.python_version()} | {name: metadata.version(name) for name in packages},
    }
