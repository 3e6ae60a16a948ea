"""Messages over a socket, as PROTOCOL.md has them: a length, JSON, and frames of raw numbers."""

import json
import socket
import struct
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

PROTOCOL = 1
MOST_BYTES = 64 * 2**20  # of a frame
MOST_FRAMES = 64  # of raw numbers, in a message
DTYPES = ("bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float32", "float64")
_LENGTH = struct.Struct(">I")
_encode = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode


class ProtocolError(Exception):
    """What came is no message; the text goes on from "its answer"."""


class Connection:
    """One side asks, the other answers.

    Args:
        peer: a connected socket.
    """

    def __init__(self, peer: socket.socket) -> None:
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # or a small message waits for an acknowledgement
        self._peer = peer
        self._received = bytearray()

    def ask(self, message: Mapping[str, Any], seconds: float) -> dict[str, Any]:
        """Sends a message and returns the answer; in it, arrays stand for frames.

        Raises:
            TimeoutError: it is not whole after so many seconds.
            EOFError: the connection is lost.
            ProtocolError: it is no message.
        """
        deadline, content = time.monotonic() + seconds, _encode(message).encode()
        try:
            self._peer.settimeout(seconds)
            self._peer.sendall(_LENGTH.pack(len(content)) + content)
        except ConnectionError as error:
            raise EOFError(f"has closed the connection ({error.strerror})") from None
        text = self._frame(deadline)
        try:
            answer = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ProtocolError(f"is no JSON ({error}): {_begin(text)}") from None
        if not isinstance(answer, dict):
            raise ProtocolError(f"is no JSON object: {_begin(text)}")
        if count := answer.pop("frames", 0):
            if type(count) is not int or not 0 < count <= MOST_FRAMES:
                raise ProtocolError(f'says "frames": {count!r}; expected a number from 0 to {MOST_FRAMES}')
            answer = _with_arrays(answer, [self._frame(deadline) for _ in range(count)])
        if self._received:
            raise ProtocolError(f"is followed by what was not asked for: {_begin(self._received)}")
        return answer

    def close(self) -> None:
        """Closes the socket, which ends the simulator."""
        self._peer.close()

    def _frame(self, deadline: float) -> bytearray:
        header = self._take(_LENGTH.size, deadline)
        (length,) = _LENGTH.unpack(header)
        if length > MOST_BYTES:
            raise ProtocolError(f"begins with {bytes(header)!r}: no length of at most {MOST_BYTES} bytes")
        return self._take(length, deadline)

    def _take(self, size: int, deadline: float) -> bytearray:
        while len(self._received) < size:
            came = f"{len(self._received)} of {size} bytes of an answer came"
            try:
                self._peer.settimeout(max(deadline - time.monotonic(), 1e-6))
                more = self._peer.recv(2**16)
            except TimeoutError:
                raise TimeoutError(came) from None
            except ConnectionError:
                more = b""
            if not more:
                raise EOFError(f"has closed the connection; {came}")
            self._received += more
        taken = self._received[:size]
        del self._received[:size]
        return taken


def _with_arrays(value: Any, frames: list[bytearray]) -> Any:
    """Returns a JSON value with an array in the place of each {"frame": its number, "dtype": ..., "shape": ...}."""
    if isinstance(value, list):
        return [_with_arrays(part, frames) for part in value]
    if not isinstance(value, dict):
        return value
    if value.keys() != {"frame", "dtype", "shape"}:
        return {key: _with_arrays(part, frames) for key, part in value.items()}
    number, dtype, shape = value["frame"], value["dtype"], value["shape"]
    try:
        if dtype not in DTYPES or number not in range(len(frames)) or min(shape, default=0) < 0:
            raise ValueError("expected a frame from 0 on, a dtype of PROTOCOL.md, and its shape")
        return np.frombuffer(frames[number], np.dtype(dtype).newbyteorder("<")).reshape(shape).astype(dtype)
    except (TypeError, ValueError) as error:
        raise ProtocolError(f"has an array that can't be read: {value}: {error}") from None


def _begin(content: bytearray) -> str:
    return repr(bytes(content[:60])) + "..." * (len(content) > 60)
