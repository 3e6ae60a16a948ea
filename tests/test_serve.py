"""`serve`: a policy behind HTTP says what it says in Python, refuses what is wrong, and stays up."""

import asyncio
import json
import math
import shlex
import signal
import socket
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from conftest import PACKAGE, BakedProject, clean_environment
from gymnasium import spaces
from kit.commands import serve
from kit.errors import RunError, UsageError
from kit.policy.space_json import to_json
from kit.policy.value_json import read_value, schema_of, write_value
from kit.spaces import Limits, adapters_for
from kit.spaces.predicate import without_float_bounds
from test_kit_policy import ALL_SPACES, TASK, actor, save

httpx = pytest.importorskip("httpx")
uvicorn = pytest.importorskip("uvicorn")
jsonschema = pytest.importorskip("jsonschema")
serving = pytest.importorskip("kit.serving")
policy_module = pytest.importorskip("kit.policy.policy")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it would rather have the successor of httpx
    from starlette.testclient import TestClient

VECTOR = spaces.Box(-1, 1, (4,), np.float32)
IMAGE = spaces.Box(0, 255, (10, 8, 3), np.uint8)
BOOLS = spaces.Box(0, 1, (2,), np.bool_)  # type: ignore[arg-type]
MASKED = spaces.Dict({"action_mask": spaces.MultiBinary(3), "vector": VECTOR})
NESTED = spaces.Dict(
    {
        "image": IMAGE,
        "pair": spaces.Tuple([spaces.Discrete(3, start=-1), spaces.MultiDiscrete(np.array([[2, 3], [4, 5]]))]),
        "text": spaces.Text(3, charset="ab]-^\\"),
        "many": spaces.Sequence(VECTOR),
        "graph": spaces.Graph(VECTOR, spaces.Discrete(3)),
        "one of": spaces.OneOf([VECTOR, spaces.Discrete(2)]),
        "scalar": spaces.Box(-np.inf, np.inf, (), np.float64),
    }
)
CHOICE: Any = spaces.Discrete(3, start=1)
MIXED = spaces.Tuple(
    [spaces.Dict(a=spaces.Box(np.array([-1, -np.inf]), np.array([1, 0.1]), dtype=np.float64)), spaces.MultiBinary(2)]
)
PAIRS = {
    "Box": (VECTOR, spaces.Box(-0.1, 0.3, (2,), np.float32)),
    "image": (IMAGE, spaces.MultiDiscrete([2, 3], start=[1, 0])),
    "masked": (MASKED, CHOICE),
    "nested": (NESTED, MIXED),
}


def policy_for(observation_space: gym.Space[Any], action_space: gym.Space[Any] = CHOICE) -> Any:
    """Returns a policy between any spaces."""
    adapters = adapters_for(observation_space, action_space, Limits(64, 10))
    own = {"observation": to_json(observation_space), "action": to_json(action_space)}
    facts = {"env_id": "kit_tests/Any-v0", "run": "first", "versions": {"kit": "1"}, "spaces": own}
    return policy_module.Policy(actor(adapters.seen, adapters.chosen), adapters, facts)


def client_of(policy: Any) -> Any:
    return TestClient(serving.application(policy), raise_server_exceptions=False)


def drawn(space: gym.Space[Any], count: int) -> list[Any]:
    """Draws observations whose masks allow something."""
    space.seed(5)
    samples = [sample for sample in (space.sample() for _ in range(4 * count)) if space.contains(sample)]
    for sample in samples:
        if isinstance(sample, dict) and "action_mask" in sample:
            sample["action_mask"][1] = 1
    return samples[:count]


@pytest.fixture(scope="module")
def plain() -> Any:
    return policy_for(VECTOR)


# What is said is what the policy says


@pytest.mark.parametrize("pair", PAIRS)
def test_actions_are_the_policys_own(pair: str) -> None:
    observation_space, action_space = PAIRS[pair]
    policy = policy_for(observation_space, action_space)
    client = client_of(policy)
    spec = client.get("/spec").json()
    takes, gives = (jsonschema.Draft202012Validator(spec[name]) for name in ("observation", "action"))
    observations = drawn(observation_space, 12)
    sent = [write_value(observation) for observation in observations]
    answers = [client.post("/act", json={"observation": one}) for one in sent]
    assert [answer.status_code for answer in answers] == [200] * len(sent)
    together = client.post("/act", json={"observations": sent}).json()["actions"]
    for observation, one, answer, other in zip(observations, sent, answers, together, strict=True):
        takes.validate(one)
        gives.validate(answer.json()["action"])
        expected = write_value(policy(observation))
        assert_same(answer.json()["action"], expected)
        assert_same(other, expected)


def assert_same(first: Any, second: Any) -> None:
    """Compares nested JSON values, floats within rounding: a batch adds up in another order."""
    if isinstance(second, dict):
        assert first.keys() == second.keys()
        first, second = list(first.values()), list(second.values())
    if isinstance(second, list):
        for one, other in zip(first, second, strict=True):
            assert_same(one, other)
    else:
        assert first == pytest.approx(second, abs=1e-4) and type(first) is type(second)


def test_policy_draws_where_it_is_asked_to(plain: Any) -> None:
    client, one = client_of(plain), VECTOR.sample().tolist()
    actions = {
        deterministic: client.post("/act", json={"observations": [one] * 200, "deterministic": deterministic}).json()
        for deterministic in (True, False)
    }
    assert len(set(actions[True]["actions"])) == 1 < len(set(actions[False]["actions"]))


def test_spec_says_where_the_policy_is_from(plain: Any) -> None:
    spec = client_of(plain).get("/spec").json()
    assert (spec["env_id"], spec["run"], spec["versions"]) == ("kit_tests/Any-v0", "first", {"kit": "1"})
    assert spec["max_body_bytes"] == 2**20
    assert spec["action"] == {"type": "integer", "minimum": 1, "maximum": 3}
    large = policy_for(spaces.Box(0, 255, (84, 84, 4), np.uint8))
    observation = {"observations": [np.full((84, 84, 4), 255, np.uint8).tolist()] * 16}
    client = client_of(large)
    assert len(json.dumps(observation)) <= client.get("/spec").json()["max_body_bytes"]
    assert client.post("/act", json=observation).status_code == 200


# Values, and their schema

JUNK: list[Any] = [
    None, True, 0, 1, 2, -1, 1.0, 1.5, 300, 10**30, 1e39, float("inf"), float("nan"), "", "a", "1", "a\n", "\ud800", [], [[]],
    {}, {"a": 1}, [0, 0], [1, 0], [2, 3], [0.0, 0.5], [-1, 0], [0, [1]], [0, None], [0, "1"], ["a", "b"], [True, False],
    [0, 0, 0, 0], [0, 0, 0, 1e300], [0, 0, 0, 10**400], [[0, 0], [0, 0]], [[1, 1], [3, 4]], [[1, 1], [0]], [[[0]]],
    [1, [0, 0, 0, 0]], [1, 1], [3, 1], {"nodes": []}, {"nodes": [[0, 0, 0, 0]], "edges": [1], "edge_links": [[0, 0]]},
    {"nodes": [[0, 0, 0, 0]], "edges": [1]}, {"vector": [0, 0, 0, 0]}, {"vector": [0, 0, 0, 0], "x": 1},
]  # fmt: skip


@pytest.mark.parametrize("space", [*ALL_SPACES, NESTED, BOOLS], ids=str)
def test_schema_takes_what_act_takes(space: gym.Space[Any]) -> None:
    space = without_float_bounds(space)
    schema = json.loads(json.dumps(schema_of(space), allow_nan=False))
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    for observation in drawn(space, 20):
        value = json.loads(json.dumps(write_value(observation), allow_nan=False))
        validator.validate(value)
        read = read_value(space, value)
        assert space.contains(read) and write_value(read) == value
    for value in JUNK:
        is_finite = not isinstance(value, float) or math.isfinite(value)  # JSON has nothing else to be valid
        is_valid = is_finite and validator.is_valid(value)
        try:
            read_value(space, value)
        except ValueError as error:
            assert not is_valid and str(error).startswith("observation") and len(str(error)) < 400, value
        else:
            assert is_valid, value


@pytest.mark.parametrize(
    ("space", "value", "message"),
    [
        (VECTOR, [1, 2, 3], "observation: expected shape (4,), got shape (3,)"),
        (VECTOR, [0, 0, 0, "x"], "observation: expected numbers in lists of shape (4,), got [0, 0, 0, 'x']"),
        (IMAGE, [[[256] * 3] * 8] * 10, "observation[0, 0, 0] is 256, outside its bounds [0, 255]"),
        (CHOICE, 0, "observation is 0, outside the range 1..3 of Discrete(3, start=1)"),
        (CHOICE, 1.5, "observation: expected an int for Discrete(3, start=1), got float64"),
        (MASKED, {"vector": [0] * 4}, "observation: key 'action_mask' is missing"),
        (MASKED, {"vector": [0] * 4, "action_mask": [0, 2, 0]}, "observation['action_mask'] is [0, 2, 0], outside"),
        (spaces.Tuple([CHOICE, VECTOR]), [1, [0, 0]], "observation[1]: expected shape (4,), got shape (2,)"),
    ],
)
def test_wrong_value_is_told_with_its_place(space: gym.Space[Any], value: Any, message: str) -> None:
    answer = client_of(policy_for(space)).post("/act", json={"observation": value})
    assert answer.status_code == 422 and answer.json()["error"].startswith(message)


# Requests that are refused


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("", "can't be read as JSON"),
        ("{", "can't be read as JSON"),
        (b"\xff\xfe\x00", "can't be read as JSON"),
        ("[" * 100_000, "can't be read as JSON"),
        ("[]", 'expected {"observation": ...} or {"observations": [...]}'),
        ("{}", 'expected {"observation": ...}'),
        ('{"obs": [0, 0, 0, 0]}', "got {'obs'"),
        ('{"observation": [0, 0, 0, 0], "observations": []}', "expected"),
        ('{"observation": [0, 0, 0, 0], "deterministic": 1}', '"deterministic": true or false'),
        ('{"observations": []}', "observations: expected a list of 1 to 1,024, got list of length 0"),
        (json.dumps({"observations": [[0] * 4] * 1025}), "1 to 1,024, got list of length 1025"),
        ('{"observations": 5}', "observations: expected a list"),
        ('{"observations": [[0, 0, 0, 0], [0, 0]]}', "observations[1]: expected shape (4,), got shape (2,)"),
        ('{"observation": [0, NaN, 0, 0]}', "observation[1] is nan: NaN or infinite"),
        ('{"observation": [0, 0, -Infinity, 0]}', "observation[2] is -inf: NaN or infinite"),
        ('{"observation": [0, 0, 0, 1e999]}', "observation[3] is inf: NaN or infinite"),
        ('{"observation": "' + "x" * 100_000 + '"}', "observation: expected numbers in lists of shape (4,), got 'xxx"),
        (json.dumps({"observation": {"x" * 1000 + str(i): i for i in range(100)}}), "observation: expected numbers"),
    ],
)
def test_wrong_request_is_told_why(plain: Any, body: Any, message: str) -> None:
    client = client_of(plain)
    answer = client.post("/act", content=body)
    assert answer.status_code == 422 and message in answer.json()["error"] and len(answer.text) < 1000
    assert client.post("/act", json={"observation": [0, 0, 0, 0]}).status_code == 200


def test_other_methods_and_places_are_refused(plain: Any) -> None:
    client = client_of(plain)
    for answer, code in ((client.get("/act"), 405), (client.delete("/spec"), 405), (client.get("/acts"), 404)):
        assert answer.status_code == code and answer.json()["error"]


def test_body_that_is_too_long_is_not_read(plain: Any) -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(100):
            yield b" " * 2**20

    client = client_of(plain)
    for content in (b" " * (2**20 + 1), chunks()):
        answer = client.post("/act", content=content)
        assert answer.status_code == 413 and "longer than 1,048,576 bytes" in answer.json()["error"]
        assert answer.headers["connection"] == "close"
    with served(plain) as port:  # told by the head alone
        with connect(port, b"POST /act HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\n") as connection:
            assert received(connection).startswith(b"HTTP/1.1 413")
        assert httpx.get(f"http://127.0.0.1:{port}/health").status_code == 200


# Batches


class Held:
    """A policy whose first batch takes until it is let go; it notes how many observations each batch has."""

    def __init__(self, policy: Any) -> None:
        self.policy, self.go = policy, threading.Event()
        self.sizes: list[int] = []
        self.observation_space, self.action_space = policy.observation_space, policy.action_space
        self.adapters, self.facts = policy.adapters, policy.facts

    def batch(self, observations: Any, deterministic: bool) -> Any:
        self.sizes.append(len(observations))
        assert self.go.wait(20)
        return self.policy.batch(observations, deterministic)


def at_once(policy: Held, first: Any, others: list[Any]) -> list[Any]:
    """Posts a request, then others while it is computed, then lets go; returns the answers."""

    async def play() -> list[Any]:
        transport = httpx.ASGITransport(serving.application(policy), raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            answers = [asyncio.create_task(client.post("/act", json=first))]
            while not policy.sizes:
                await asyncio.sleep(0.01)
            answers += [asyncio.create_task(client.post("/act", json=other)) for other in others]
            while True:
                health = (await client.get("/health")).json()
                waiting = sum(not answer.done() for answer in answers[1:])
                if health["waiting"] >= waiting:
                    break
                await asyncio.sleep(0.01)
            policy.go.set()
            return list(await asyncio.gather(*answers))

    return asyncio.run(asyncio.wait_for(play(), 30))


def test_requests_that_wait_are_computed_together(plain: Any) -> None:
    held = Held(plain)
    observations = [one.tolist() for one in drawn(VECTOR, 9)]
    answers = at_once(held, {"observation": observations[0]}, [{"observation": one} for one in observations[1:]])
    assert held.sizes == [1, 8]
    expected = [int(plain(np.array(one, np.float32))) for one in observations]
    assert [answer.json()["action"] for answer in answers] == expected and len(set(expected)) > 1


def test_both_ways_to_choose_take_turns(plain: Any) -> None:
    held, one = Held(plain), {"observation": [0, 0, 0, 0]}
    drawing = one | {"deterministic": False}
    assert [answer.status_code for answer in at_once(held, one, [drawing, one, drawing])] == [200] * 4
    assert held.sizes == [1, 2, 1]


def test_more_than_may_wait_are_sent_away(plain: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "MOST_WAITING", 4)
    held, one = Held(plain), {"observation": [0, 0, 0, 0]}
    answers = at_once(held, one, [one] * 6)
    assert sorted(answer.status_code for answer in answers) == [200] * 5 + [503] * 2
    assert all(answer.headers["retry-after"] == "1" for answer in answers if answer.status_code == 503)
    assert held.sizes == [1, 4]


def test_request_whose_mask_allows_nothing_harms_no_other() -> None:
    held = Held(policy_for(MASKED))
    good, bad = ({"observation": {"action_mask": mask, "vector": [0] * 4}} for mask in ([0, 1, 0], [0, 0, 0]))
    answers = at_once(held, good, [good, bad, good])
    assert [answer.status_code for answer in answers] == [200, 200, 422, 200]
    assert "allows no action" in answers[2].json()["error"]
    assert [answers[i].json()["action"] for i in (0, 1, 3)] == [2, 2, 2]


def test_error_of_the_policy_is_not_the_end(plain: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    client, one = client_of(plain), {"observation": [0, 0, 0, 0]}
    with monkeypatch.context() as patch:
        patch.setattr(plain, "batch", lambda *_: 1 / 0)
        assert client.post("/act", json=one).status_code == 500
    assert client.post("/act", json=one).status_code == 200


# A real server


@contextmanager
def served(policy: Any) -> Iterator[int]:
    """Serves a policy in a thread, as the command does; yields the port."""
    with serve.listen("127.0.0.1", 0) as listening:
        server = serving.server_of(policy)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        yield listening.getsockname()[1]
        server.should_exit = True
        thread.join(20)
        assert not thread.is_alive()


def connect(port: int, sent: bytes) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), timeout=20)
    connection.sendall(sent)
    return connection


def received(connection: socket.socket) -> bytes:
    """Returns what comes until the other side closes."""
    try:
        parts = []
        while part := connection.recv(4096):
            parts.append(part)
        return b"".join(parts)
    except ConnectionResetError:
        return b""


def test_slow_clients_are_left_and_keep_nobody_waiting(plain: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "READ_S", 1)
    head = b"POST /act HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\n"
    health = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"
    with served(plain) as port:
        slow = [
            connect(port, sent) for sent in (b"", b"POST /act HT", head, head + b'{"obs', health + b"GET /hea") * 20
        ]
        with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
            for _ in range(10):
                assert client.post("/act", json={"observation": [0, 0, 0, 0]}).status_code == 200
        ends = [received(connection) for connection in slow]
        for connection in slow:
            connection.close()
        assert httpx.get(f"http://127.0.0.1:{port}/health").json()["status"] == "ok"
    for end, begin in zip(ends, (b"", b"", b"HTTP/1.1 408", b"HTTP/1.1 408", b"HTTP/1.1 200") * 20, strict=True):
        assert end.startswith(begin) and bool(end) == bool(begin)


def test_server_ends_while_slow_clients_are_connected(plain: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "GRACE_S", 1)
    with served(plain) as port:
        slow = [connect(port, b"POST /act HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\n{"), connect(port, b"GET")]
        assert httpx.get(f"http://127.0.0.1:{port}/health").status_code == 200
    for connection in slow:
        connection.close()


# The command


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run with a policy, in the folder where the test works."""
    monkeypatch.chdir(tmp_path)
    checkpoint = Path("runs/first/checkpoints/best")
    checkpoint.mkdir(parents=True)
    Path("runs/first/config.json").write_text("{}")
    save(checkpoint / "policy")
    return Path("runs/first")


def test_missing_extra_is_told_with_the_line_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("uvicorn", "starlette.applications"):
        with monkeypatch.context() as patch:
            patch.delitem(sys.modules, "kit.serving")
            patch.setitem(sys.modules, name, None)
            with pytest.raises(UsageError, match=r'serve needs \S+: pip install -e "\.\[serve\]"$'):
                serve.main(TASK, ["no such run"])


def test_what_can_not_be_served_is_one_line(run: Path) -> None:
    with pytest.raises(UsageError, match="there is no run 'frist'; did you mean 'first'"):
        serve.main(TASK, ["frist"])
    with pytest.raises(UsageError, match="argument --port: expected a whole number"):
        serve.main(TASK, ["--port", "http"])
    with pytest.raises(UsageError, match="argument --port: expected at most 65535, got 70000"):
        serve.main(TASK, ["--port", "70000"])
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        with pytest.raises(RunError, match=f"can't listen at 127.0.0.1, port {port}: [^\n]*give another --port"):
            serve.main(TASK, ["first", "--port", port])


def test_answers_do_not_wait_for_acknowledgements() -> None:
    with serve.listen("127.0.0.1", 0) as listening, socket.create_connection(listening.getsockname()):
        connection, _ = listening.accept()
        with connection:
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


@pytest.mark.parametrize(("host", "warns"), [("127.0.0.1", False), ("::1", False), ("0.0.0.0", True), ("::", True)])
def test_host_that_others_reach_is_warned_of(
    run: Path, host: str, warns: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Listening:
        def getsockname(self) -> tuple[str, int]:
            return host, 8000

    monkeypatch.setattr(serve, "listen", lambda *_: nullcontext(Listening()))  # nothing of a test listens out there
    monkeypatch.setattr(uvicorn.Server, "run", lambda self, sockets: None)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    assert serve.main(TASK, ["first", "--host", host]) == 0
    said = capsys.readouterr()
    assert ("no authentication" in said.err) == warns
    assert f"http://{f'[{host}]' if ':' in host else host}:8000" in said.out


@pytest.mark.parametrize(
    ("module", "without"),
    [
        ("kit.commands.serve", {"ray", "torch", "starlette", "uvicorn"}),
        ("kit.serving, kit.policy.folder", {"ray", "scipy", "matplotlib"}),
        ("kit.serving", {"torch"}),
    ],
)
def test_serving_needs_no_ray(module: str, without: set[str]) -> None:
    code = f"import sys; sys.path.insert(0, {str(PACKAGE)!r}); import {module}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not without & set(done.stdout.split())


MAKE_RUN = """
from pathlib import Path
import torch
from {0}.kit.policy.actor import Actor
from {0}.kit.policy.folder import save_policy, spaces_of
from {0}.registration import TASK

env = TASK.make_adapted()
torch.manual_seed(0)
actor = Actor(env.observation_space, env.action_space, {{"hidden_units": [64, 64], "image_features": 256}})
folder = Path("runs/served/checkpoints/best/policy")
folder.parent.mkdir(parents=True)
facts = {{"env_id": TASK.env_id, "spaces": spaces_of(env), "env_config": {{}}, "versions": {{}}, "run": "served"}}
save_policy(folder, actor, facts)
Path("runs/served/config.json").write_text("{{}}")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals are sent")
def test_command_serves_until_it_is_told_to_end(corridor: BakedProject) -> None:
    corridor.run("-c", MAKE_RUN.format(corridor.package), check=True)
    words = shlex.split(next(line for line in corridor.manual("policy").splitlines() if line.startswith("curl ")))
    for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 0)):
        command = [str(corridor.python), "-m", corridor.package, "serve", "served", "--port", "0"]
        with subprocess.Popen(
            command,
            cwd=corridor.path,
            env=clean_environment(),
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as process:
            assert process.stdout and process.stderr
            try:
                line = process.stdout.readline()
                url = line.split(" at ")[1].split(": ")[0]
                assert line.startswith("runs/served/checkpoints/best/policy at http://127.0.0.1:")
                assert httpx.get(f"{url}/health", timeout=60).json() == {"status": "ok", "waiting": 0}
                assert httpx.get(f"{url}/spec").json()["run"] == "served"
                answer = httpx.post(words[1].replace("http://127.0.0.1:8000", url), content=words[-1])
                assert answer.status_code == 200 and answer.json()["action"] in (0, 1)
                if number == signal.SIGINT:
                    port = url.rpartition(":")[2]
                    second = corridor.command("serve", "served", "--port", port)
                    assert second.returncode == 1 and second.stderr.startswith("ERROR: can't listen")
                    assert len(second.stderr.splitlines()) == 1
            finally:
                process.send_signal(number)
                process.wait(30)
            assert process.returncode == code and process.stderr.read() == ""
