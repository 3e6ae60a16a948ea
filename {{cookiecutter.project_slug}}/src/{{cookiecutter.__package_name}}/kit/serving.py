"""A policy as a web application: what it answers, what it refuses, and that requests are computed together."""

import asyncio
import json
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TYPE_CHECKING, Any

import uvicorn
from gymnasium import spaces
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from uvicorn.protocols.http.h11_impl import H11Protocol

from .policy.value_json import read_value, schema_of, write_value
from .spaces.membership import kind, short
from .spaces.predicate import without_float_bounds

if TYPE_CHECKING:
    from .policy.policy import Policy

READ_S = 10  # for the head of a request, and again for its body
MOST_WAITING = 1024  # observations, for a batch to end; and the most of a request
MOST_CONNECTIONS = 4096
GRACE_S = 5  # for the requests at hand, when the server ends
LEAST_LIMIT = 2**20  # bytes of a body; it may be longer where 16 observations are, at 25 characters a number
_CLOSE = {"Connection": "close"}  # what is still to come is not read
_NAMES = {"observation", "observations", "deterministic"}
_FORM = '{"observation": ...} or {"observations": [...]}, and "deterministic": true or false'


class Batches:
    """Computes one batch at a time, in a thread; the requests that come meanwhile form the next one."""

    def __init__(self, policy: "Policy") -> None:
        self.policy, self.waiting = policy, 0  # observations, beside those of the batch at hand
        self._requests: dict[bool, list[tuple[list[Any], asyncio.Future[Any]]]] = {True: [], False: []}
        self._thread = ThreadPoolExecutor(1)
        self._computing: asyncio.Task[None] | None = None

    async def act(self, observations: list[Any], deterministic: bool) -> list[Any]:
        """Returns the actions for a request's observations, or raises what the policy does."""
        if self.waiting + len(observations) > MOST_WAITING:
            raise HTTPException(503, f"{self.waiting} observations are waiting already", {"Retry-After": "1"})
        actions: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._requests[deterministic].append((observations, actions))
        self.waiting += len(observations)
        if self._computing is None or self._computing.done():
            self._computing = asyncio.create_task(self._compute())
        if isinstance(result := await actions, Exception):
            raise result
        return result

    async def _compute(self) -> None:
        while self.waiting:
            for deterministic in filter(self._requests.get, (True, False)):  # in turns, where both wait
                taken, self._requests[deterministic] = self._requests[deterministic], []
                requests = [observations for observations, _ in taken]
                self.waiting -= sum(map(len, requests))
                results = self._thread.submit(self._results, requests, deterministic)
                for (_, actions), result in zip(taken, await asyncio.wrap_future(results), strict=True):
                    if not actions.done():  # cancelled, where the server ends
                        actions.set_result(result)

    def _results(self, requests: list[list[Any]], deterministic: bool) -> Iterable[Any]:
        """Returns for each request its actions, or what the policy raises for it alone."""
        try:
            actions = iter(self.policy.batch([one for request in requests for one in request], deterministic))
            return [list(islice(actions, len(request))) for request in requests]
        except Exception as error:
            if len(requests) == 1:
                return [error]
            return [result for request in requests for result in self._results([request], deterministic)]


def application(policy: "Policy") -> Starlette:
    """Returns the application around a policy: POST /act, GET /spec and GET /health."""
    space, batches = without_float_bounds(policy.observation_space), Batches(policy)
    limit = max(LEAST_LIMIT, 16 * 25 * spaces.flatdim(policy.adapters.seen))
    spec = {name: policy.facts.get(name) for name in ("env_id", "run", "versions")} | {"max_body_bytes": limit}
    spec |= {"observation": schema_of(space), "action": schema_of(policy.action_space)}

    async def act(request: Request) -> Response:
        try:
            body = await asyncio.wait_for(_body_of(request, limit), READ_S)
            observations, is_one, deterministic = _parse(body, space)
            actions = [write_value(action) for action in await batches.act(observations, deterministic)]
        except (asyncio.TimeoutError, ClientDisconnect):
            raise HTTPException(408, f"the body didn't come within {READ_S} s", _CLOSE) from None
        except ValueError as error:
            raise HTTPException(422, str(error)) from None
        return _json({"action": actions[0]} if is_one else {"actions": actions})

    async def show_spec(_: Request) -> Response:
        return _json(spec)

    async def show_health(_: Request) -> Response:
        return _json({"status": "ok", "waiting": batches.waiting})

    async def refuse(_: Request, error: Any) -> Response:
        return _json({"error": str(error.detail)[:500]}, error.status_code, error.headers)

    routes = [Route("/act", act, methods=["POST"]), Route("/spec", show_spec), Route("/health", show_health)]
    return Starlette(routes=routes, exception_handlers={HTTPException: refuse})


async def _body_of(request: Request, limit: int) -> bytearray:
    """Returns what a request brings; raises HTTPException, and reads no further, where that is too much."""
    too_long = HTTPException(413, f"the body is longer than {limit:,} bytes", _CLOSE)
    if int(request.headers.get("content-length", 0)) > limit:
        raise too_long
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise too_long
    return body


def _parse(body: bytearray, space: Any) -> tuple[list[Any], bool, bool]:
    """Returns the observations, whether it is one outside a list, and `deterministic`; raises ValueError."""
    try:
        content = json.loads(body)  # NaN and Infinity, too: no space has them, and its message says where they are
    except (ValueError, RecursionError) as error:
        raise ValueError(f"the body can't be read as JSON: {error}") from None
    names = content.keys() if isinstance(content, dict) else set()
    deterministic = content.get("deterministic", True) if names else None
    if len(names - {"deterministic"}) != 1 or not names <= _NAMES or not isinstance(deterministic, bool):
        raise ValueError(f"expected {_FORM}, got {short(content)}")
    if "observation" in names:
        return [read_value(space, content["observation"])], True, deterministic
    if not isinstance(values := content["observations"], list) or not 1 <= len(values) <= MOST_WAITING:
        raise ValueError(f"observations: expected a list of 1 to {MOST_WAITING:,}, got {kind(values)}")
    return [read_value(space, one, f"observations[{i}]") for i, one in enumerate(values)], False, deterministic


def _json(content: Any, status: int = 200, headers: Any = None) -> Response:
    return Response(json.dumps(content, allow_nan=False), status, headers, "application/json")


class Connection(H11Protocol):
    """Ends a connection on which no request begins for READ_S; uvicorn would wait for ever for the rest of its head."""

    def connection_made(self, transport: Any) -> None:
        """Begins to look at it."""
        super().connection_made(transport)
        self.loop.call_later(READ_S, self._look, None)

    def _look(self, before: Any) -> None:
        if self.cycle is before and (before is None or before.response_complete):
            self.transport.abort()
        elif not self.transport.is_closing():
            self.loop.call_later(READ_S, self._look, self.cycle)


def server_of(policy: "Policy") -> uvicorn.Server:
    """Returns the server of a policy; its `run(sockets=[...])` serves until Ctrl-C or SIGTERM."""
    settings: dict[str, Any] = {"ws": "none", "lifespan": "off", "log_level": "error", "access_log": False}
    limits: dict[str, Any] = {"limit_concurrency": MOST_CONNECTIONS, "timeout_graceful_shutdown": GRACE_S}
    return uvicorn.Server(uvicorn.Config(application(policy), http=Connection, **settings, **limits))
