"""How an env runner tells the driver, on whatever machine, that the environment failed while other runners still sample.

RLlib's driver waits for the samples of all env runners before it looks at an error of one. Here the first failure goes
into the key-value store that Ray has anyway, and the driver looks there.
"""

import json
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import ray
from ray.experimental import internal_kv

_NAMESPACE = b"environment"
POLL_SECONDS = 0.5


def _key() -> str:
    return f"failure-{ray.get_runtime_context().get_job_id()}"  # the job: one run, with all its env runners


def post(facts: Mapping[str, Any]) -> None:
    """Tells the driver what failed; the first failure counts."""
    internal_kv._internal_kv_put(_key(), json.dumps(facts, default=str), overwrite=False, namespace=_NAMESPACE)


def read() -> dict[str, Any] | None:
    """Returns what failed, if anything did."""
    if not ray.is_initialized():
        return None
    content = internal_kv._internal_kv_get(_key(), namespace=_NAMESPACE)
    return json.loads(content) if content else None


def clear() -> None:
    """Forgets the failure, to go on in spite of it."""
    internal_kv._internal_kv_del(_key(), namespace=_NAMESPACE)


class Poll(threading.Thread):
    """Looks for what failed every POLL_SECONDS, and once there is something, calls `found` with it; then ends."""

    def __init__(self, found: Callable[[dict[str, Any]], object]) -> None:
        super().__init__(daemon=True)
        self._found, self._is_over = found, threading.Event()
        self.start()

    def run(self) -> None:
        """Runs until something is found or `stop` is called."""
        failure = None
        while failure is None and not self._is_over.wait(POLL_SECONDS):
            with suppress(Exception):  # Ray is starting or ending
                failure = read()
        if failure is not None:
            self._found(failure)

    def stop(self) -> None:
        """Ends the looking."""
        self._is_over.set()
