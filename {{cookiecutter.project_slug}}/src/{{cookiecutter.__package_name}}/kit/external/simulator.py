"""The environment's side of PROTOCOL.md: starts a simulator, asks it, and judges what it answers."""

import logging
import math
import socket
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, NoReturn

import gymnasium as gym

from ..policy.space_json import from_json, to_json
from ..policy.value_json import read_value, write_value
from ..spaces.membership import short
from ..spaces.predicate import without_float_bounds
from .connection import PROTOCOL, Connection, ProtocolError
from .process import CLOSE_SECONDS, Process, SimulatorError
from .restarts import SimulatorLost, broken

logger = logging.getLogger(__name__)
DOCUMENT = "kit/external/PROTOCOL.md"


class Simulator:
    """A simulator that `reset` and `step` of an environment ask; the first `reset` starts it, or connects to it.

    In training, one that has died or is too slow is started anew, and the episode is dropped; see `restarts`. A copy, or
    one that was pickled, starts a simulator of its own.

    Args:
        observation_space: of the environment; the simulator must have the same.
        action_space: likewise.
        command: starts a simulator; the word "{port}" becomes the port of 127.0.0.1 that it has to connect to.
        address: "host:port" of one that runs already, in place of the command; "" starts one.
        settings: JSON values that the simulator is told when it starts.
        start_seconds: the longest that a start may take, to the answer to "hello".
        reset_seconds: the longest that it may take to answer a reset.
        step_seconds: likewise, a step.

    Raises:
        ValueError: the address is none.
    """

    def __init__(
        self,
        observation_space: gym.Space[Any],
        action_space: gym.Space[Any],
        command: Sequence[str],
        address: str = "",
        settings: Mapping[str, Any] | None = None,
        start_seconds: float = 30.0,
        reset_seconds: float = 10.0,
        step_seconds: float = 5.0,
    ) -> None:
        self._spaces = {"observation_space": observation_space, "action_space": action_space}
        self._readable = without_float_bounds(observation_space)
        self._command, self._settings = list(command), dict(settings or {})
        self._seconds = {"hello": start_seconds, "reset": reset_seconds, "step": step_seconds}
        self._host, _, port = address.rpartition(":")
        if address and not (self._host and port.isdecimal() and int(port) < 2**16):
            raise ValueError(f'address must be "host:port" such as "127.0.0.1:5000", or "", got {address!r}')
        self._port = int(port or 0)
        self._name = f"the simulator at {address}" if address else "the simulator"
        self._process: Process | None = None
        self._connection: Connection | None = None

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"_process": None, "_connection": None}

    def reset(self, seed: int, options: Mapping[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Starts an episode; returns its first observation and info.

        Raises:
            SimulatorError: the simulator is at fault.
        """
        message = {"type": "reset", "seed": seed, "options": dict(options or {})}
        try:
            answer = self._ask(message)
        except SimulatorLost as lost:
            if isinstance(error := broken(lost), SimulatorError):
                raise error from None
            logger.warning(error)  # no episode is broken: this one begins in another simulator
            answer = self._ask(message)
        return self._observation(answer), self._field(answer, "info", dict, {})

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Takes an action; returns observation, reward, terminated, truncated and info.

        Raises:
            BrokenEpisode: the simulator has died or is too slow, and the next `reset` starts another.
            SimulatorError: it is at fault, or has been started anew too often.
        """
        try:
            answer = self._ask({"type": "step", "action": write_value(action)})
        except SimulatorLost as lost:
            raise broken(lost) from None
        reward = self._field(answer, "reward", (int, float))
        if not math.isfinite(reward):
            self._refuse(f'its answer has "reward": {reward}, no finite number')
        terminated, truncated = (self._field(answer, name, bool) for name in ("terminated", "truncated"))
        info = self._field(answer, "info", dict, {})
        return self._observation(answer), float(reward), terminated, truncated, info

    def close(self) -> None:
        """Closes the connection; a simulator that was started here ends."""
        connection, self._connection = self._connection, None
        process, self._process = self._process, None
        if connection is not None:
            connection.close()
        if process is not None:
            process.close()

    def _start(self) -> None:
        """Starts the simulator, or connects to it, and compares protocol and spaces."""
        seconds = self._seconds["hello"]
        try:
            peer = socket.create_connection((self._host, self._port), seconds) if self._host else self._accept(seconds)
        except OSError as error:
            raise SimulatorError(f"{self._name} can't be reached: {error}; start it first") from None
        self._connection = Connection(peer)
        spaces = {name: to_json(space) for name, space in self._spaces.items()}
        answer = self._ask({"type": "hello", "protocol": PROTOCOL, "settings": self._settings, **spaces})
        if (protocol := answer.get("protocol")) != PROTOCOL:
            self._refuse(f"it speaks protocol {protocol!r}, this environment {PROTOCOL}: update the older ({DOCUMENT})")
        for name, space in self._spaces.items():
            other: Any = f"{short(answer.get(name))}, which {DOCUMENT} does not know"
            with suppress(Exception):
                other = from_json(answer[name])
            if other != space:
                self._refuse(f"its {name} is {other}; this environment's is {space}")

    def _accept(self, seconds: float) -> socket.socket:
        """Starts a process; returns its connection."""
        end = time.monotonic() + seconds
        with socket.create_server(("127.0.0.1", 0), backlog=1) as listener:
            port = listener.getsockname()[1]
            self._process = Process(self._command, port)
            listener.settimeout(0.05)
            while time.monotonic() < end:
                with suppress(TimeoutError):
                    return listener.accept()[0]
                if ended := self._process.ended():
                    self._refuse(f"it {ended} before it connected to port {port}")
        self._refuse(f"it has not connected to port {port} within {seconds:g} s (start_seconds)")

    def _ask(self, message: dict[str, Any]) -> dict[str, Any]:
        """Returns the answer to a message; raises SimulatorLost where the simulator has died, or is too slow."""
        kind = message["type"]
        error_of_loss = SimulatorError if kind == "hello" else SimulatorLost  # another start would fail alike
        if self._connection is None and kind == "reset":
            self._start()
        if self._connection is None:
            raise SimulatorError(f"{kind} was called before reset")
        try:
            answer = self._connection.ask(message, self._seconds[kind])
        except ProtocolError as error:
            self._refuse(f"its answer to {kind} {error} ({DOCUMENT})")
        except TimeoutError as error:
            setting = f"{self._seconds[kind]:g} s ({'start' if kind == 'hello' else kind}_seconds)"
            raise error_of_loss(self._told(f"it has not answered {kind} within {setting}; {error}")) from None
        except EOFError as error:
            ended = self._process.ended(CLOSE_SECONDS) if self._process is not None else ""
            raise error_of_loss(self._told(f"it {ended or error}, asked for {kind}")) from None
        if "error" in answer:
            self._refuse(f"it says, asked for {kind}: {answer['error']}")
        return answer

    def _observation(self, answer: dict[str, Any]) -> Any:
        """Returns the observation in the environment's space; floats may leave their bounds, which training tells."""
        if "observation" not in answer:
            self._refuse('its answer has no "observation", which an episode\'s last step needs, too')
        try:
            return read_value(self._readable, answer["observation"])
        except ValueError as error:
            self._refuse(f"its answer is not in the observation space: {error}")

    def _field(self, answer: dict[str, Any], name: str, kind: Any, default: Any = None) -> Any:
        value = answer.get(name, default)
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            expected = {bool: "true or false", dict: "an object"}.get(kind, "a number")
            self._refuse(f'its answer has "{name}": {short(value)}; expected {expected}')
        return value

    def _refuse(self, what: str) -> NoReturn:
        raise SimulatorError(self._told(what)) from None

    def _told(self, what: str) -> str:
        """Ends the simulator; returns what was wrong, on one line, and the end of its log below."""
        process, self._process = self._process, None
        if process is not None:
            what += f"; {process.keep_log()}"
        self.close()
        return f"{self._name} fails: {what}"
