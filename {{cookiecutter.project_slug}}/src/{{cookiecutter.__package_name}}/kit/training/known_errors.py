"""Errors of Ray that say something else than what is wrong: what it is, and what to do."""

import re

_KNOWN = (  # a pattern in Ray's message, and what we say
    ("AF_UNIX path length", "the temporary folder's name is too long for Ray; type: export RAY_TMPDIR=/tmp"),
    ("Permission denied: .*/ray", "Ray's temporary files belong to somebody else; type: export RAY_TMPDIR=$HOME/.ray"),
    ("low on memory", "this machine's memory is used up; lower num_env_runners or num_envs_per_env_runner"),
    ("No space left on device", "the disk is full; Ray writes to /tmp, or where RAY_TMPDIR says"),
    ("Too many open files", "this process may not open more files; type: ulimit -n 65536"),
    ("Version mismatch", "all machines of a cluster need the same Ray, and the same Python but for its last number"),
    (
        "Package size .* exceeds",
        "the package is sent to other machines: keep large files out, and their path in EnvConfig",
    ),
)


def explained(error: BaseException) -> str | None:
    """Returns what is wrong, what to do, and the beginning of what Ray says; None for an error that isn't known."""
    text = " ".join(str(error).split())
    line = next((line for pattern, line in _KNOWN if re.search(pattern, text)), None)
    return line and f"{line} ({type(error).__name__}: {text[:120]})"
