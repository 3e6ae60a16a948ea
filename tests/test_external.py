"""kit.external: the protocol, what goes wrong with a simulator, and that none is left behind."""

import copy
import os
import pickle
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from conftest import PACKAGE, TEMPLATE, clean_environment
from gymnasium import spaces
from kit.errors import BrokenEpisode
from kit.external import PROTOCOL, Simulator, SimulatorError, restarts
from kit.external.connection import DTYPES, MOST_BYTES, Connection
from kit.guard import BROKEN, Guard, child_log
from kit.guard.failure import EnvironmentFailure
from kit.policy.space_json import to_json
from kit.vectorization.choose import fit
from kit.vectorization.measure import measure
from kit.vectorization.settings import KEYS, Vectorization

STARTER = TEMPLATE / "{{cookiecutter.project_slug}}/starters/external/src/{{cookiecutter.__package_name}}"
TANK = [sys.executable, "-I", str(STARTER / "simulator.py")]
SEEN = spaces.Box(0.0, 1.0, (3,), np.float32)
CHOSEN: spaces.Discrete = spaces.Discrete(3)
IS_LINUX = sys.platform == "linux"


def tank(command: list[str], **options: Any) -> Simulator:
    """Returns a client of a simulator that is a tank."""
    return Simulator(SEEN, CHOSEN, [*command, "{port}"], settings={"leak": 0.05}, **options)


@pytest.fixture(scope="session")
def tank_in_c(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The tank that was written in C from PROTOCOL.md."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("there is no C compiler")
    program = tmp_path_factory.mktemp("c") / "tank"
    source = Path(__file__).with_name("tank.c")
    subprocess.run([compiler, "-O1", "-Wall", "-Werror", "-o", program, source, "-lm"], check=True)
    return [str(program)]


@pytest.fixture(params=["Python", "C"])
def command(request: pytest.FixtureRequest) -> list[str]:
    """The same simulator in two languages: what PROTOCOL.md says holds for both."""
    return TANK if request.param == "Python" else request.getfixturevalue("tank_in_c")


def play(simulator: Simulator, seed: int) -> list[Any]:
    """Plays an episode with the same actions for the same seed."""
    actions, steps = np.random.default_rng(seed), [simulator.reset(seed)[0].tolist()]
    for _ in range(30):
        observation, *rest = simulator.step(int(actions.integers(3)))
        steps.append([observation.tolist(), *rest])
        if rest[1]:
            break
    return steps


# Conformance: any simulator


def test_same_seed_is_the_same_episode_also_in_another_process(command: list[str]) -> None:
    one, other = tank(command), tank(command)
    episodes = [play(one, seed) for seed in (1, 2, 1)]
    assert episodes[0] == episodes[2] == play(other, 1)
    assert episodes[1][0] != episodes[0][0]
    for simulator in (one, other):
        simulator.close()


def test_last_observation_comes_with_the_end(command: list[str]) -> None:
    simulator = tank(command)
    simulator.reset(1)
    for _ in range(200):
        observation, reward, terminated, truncated, info = simulator.step(0)
        assert type(observation) is np.ndarray and SEEN.contains(observation)
        assert (type(reward), type(terminated), truncated, info) == (float, bool, False, {})
        if terminated:
            break
    assert terminated and reward == -1.0 and observation[0] < 0.05 < simulator.reset(2)[0][0]
    simulator.close()


def test_reset_may_come_in_the_middle_of_an_episode(command: list[str]) -> None:
    simulator = tank(command)
    whole = play(simulator, 5)
    simulator.reset(6)
    simulator.step(1)
    assert play(simulator, 5) == whole
    simulator.close()


def test_settings_arrive(command: list[str]) -> None:
    dry, wet = (Simulator(SEEN, CHOSEN, [*command, "{port}"], settings={"leak": leak}) for leak in (0.07, 0.01))
    levels = [simulator.reset(1) and simulator.step(1)[0][0] for simulator in (dry, wet)]
    assert levels[0] < levels[1]
    for simulator in (dry, wet):
        simulator.close()


@pytest.mark.parametrize("version", [0, 99])
def test_other_version_is_answered_with_the_own_one(command: list[str], version: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        process = subprocess.Popen([*command, str(listener.getsockname()[1])])
        connection = Connection(listener.accept()[0])
    hello = {"type": "hello", "protocol": version, "settings": {"leak": 0.05}}
    answer = connection.ask(hello | {"observation_space": to_json(SEEN), "action_space": to_json(CHOSEN)}, 10.0)
    assert answer["protocol"] == PROTOCOL
    connection.close()
    assert process.wait(2.0) == 0  # the end of the connection is its own


def test_one_that_runs_already_serves_many(command: list[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = subprocess.Popen([*command, "--listen", str(port)], start_new_session=True)
    try:
        wait_for(lambda: socket.socket().connect_ex(("127.0.0.1", port)) == 0)
        one, other = (tank([], address=f"127.0.0.1:{port}") for _ in range(2))
        first = one.reset(7)[0]
        assert play(one, 3) == play(other, 3)
        one.close()
        assert (other.reset(7)[0] == first).all()  # closing one ends neither the other nor the simulator
        other.close()
        assert process.poll() is None
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    with pytest.raises(SimulatorError, match=rf"simulator at 127.0.0.1:{port} can't be reached: .*; start it first"):
        one.reset(1)


def test_many_copies_start_at_the_same_time(command: list[str]) -> None:
    """Each has a port of its own, that nothing else can have taken."""
    copies = [tank(command) for _ in range(8)]
    with ThreadPoolExecutor(len(copies)) as pool:
        episodes = list(pool.map(lambda simulator: play(simulator, 4), copies))
    assert episodes == [episodes[0]] * len(copies)
    for simulator in copies:
        simulator.close()


def test_messages_are_byte_by_byte_what_the_document_says() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ours, theirs = socket.create_connection(listener.getsockname()), listener.accept()[0]
    theirs.sendall(b'\x00\x00\x00\x0f{"answer":  42}')
    assert Connection(ours).ask({"type": "reset", "seed": 1, "options": {}}, 1.0) == {"answer": 42}
    assert theirs.recv(100) == b'\x00\x00\x00\x26{"type":"reset","seed":1,"options":{}}'
    document = (PACKAGE / "kit/external/PROTOCOL.md").read_text(encoding="utf-8")
    assert '{"type":"reset","seed":1234,"options":{}}' in document
    assert f"its simulator, version {PROTOCOL}\n" in document and f"{MOST_BYTES:,} bytes" in document
    assert ", ".join(DTYPES[:-1]) + f" or {DTYPES[-1]}" in document
    for ours_or_theirs in (ours, theirs):
        ours_or_theirs.close()


# What goes wrong

FAKE = r"""
import json, os, socket, struct, subprocess, sys, time
when, what, port = sys.argv[1:]
print(*(f"line {number}" for number in range(30)), sep="\n", flush=True)
if when == "start":
    exec(what)
peer = socket.create_connection(("127.0.0.1", int(port)))
stream = peer.makefile("rwb")

def raw(data):
    stream.write(data)
    stream.flush()

def send(answer, *frames):
    text = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
    raw(b"".join(struct.pack(">I", len(part)) + part for part in (text, *frames)))

while header := stream.read(4):
    message = json.loads(stream.read(struct.unpack(">I", header)[0]))
    kind = message["type"]
    answer = {"observation": [0.1, 0.2, 0.3], "reward": 1, "terminated": False, "truncated": False}
    answer = {**message, "hello": 0} if kind == "hello" else answer
    if kind == when:
        exec(what)
    send(answer)
"""


def fake(when: str, what: str, **options: Any) -> Simulator:
    """Returns a client of a simulator that does something else at its start, or when it is asked for one thing."""
    command = [sys.executable, "-I", "-S", "-c", FAKE, when, what, "{port}"]
    return Simulator(SEEN, CHOSEN, command, **{"reset_seconds": 0.5, "step_seconds": 0.5} | options)


SLEEP = "time.sleep(60)"
HTTP = "raw(b'HTTP/1.1 400 Bad Request'); " + SLEEP
HALF = "raw(struct.pack('>I', 40) + b'{\"obs'); "
FAULTS = {
    "dead at start": ("start", "sys.exit(3)", "it has ended with exit code 3 before it connected to port"),
    "never connects": ("start", SLEEP, "within 1 s (start_seconds); the end of its log"),
    "never says hello": ("hello", SLEEP, "has not answered hello within 1 s (start_seconds); 0 of 4 bytes"),
    "old version": ("hello", "answer['protocol'] = 0", "it speaks protocol 0, this environment 1: update the older"),
    "no version": ("hello", "del answer['protocol']", "it speaks protocol None, this environment 1"),
    "other space": (
        "hello",
        "answer['action_space'] = {'Discrete': {'n': 4, 'start': 0, 'dtype': 'int64'}}",
        "its action_space is Discrete(4); this environment's is Discrete(3)",
    ),
    "other bounds": ("hello", "answer['observation_space']['Box']['high'] = [2.0]", "its observation_space is Box(0.0, 2.0"),
    "no space": ("hello", "answer['action_space'] = 'four'", "its action_space is 'four', which kit/external/PROTOCOL"),
    "slow reset": ("reset", SLEEP, "has not answered reset within 0.5 s (reset_seconds); 0 of 4 bytes"),
    "slow step": ("step", SLEEP, "has not answered step within 0.5 s (step_seconds); 0 of 4 bytes of an answer came"),
    "exits": ("step", "os._exit(7)", "it has ended with exit code 7, asked for step"),
    "crashes": ("step", "os.kill(os.getpid(), 11)", "it was ended by SIGSEGV, asked for step"),
    "hangs up": ("step", "peer.shutdown(2); " + SLEEP, "it has closed the connection; 0 of 4 bytes"),
    "half a message": ("step", HALF + SLEEP, "has not answered step within 0.5 s (step_seconds); 5 of 40 bytes"),
    "half a message, dead": ("step", HALF + "os._exit(0)", "it has ended with exit code 0, asked for step"),
    "garbage": ("step", HTTP, "its answer to step begins with b'HTTP': no length of at most 67108864 bytes"),
    "no JSON": ("step", "send(b'{\"reward\": nan}')", 'its answer to step is no JSON (Expecting value'),
    "no UTF-8": ("step", "send(b'\\xff\\xfe')", "its answer to step is no JSON"),
    "deep JSON": ("step", "send(b'[' * 100000)", "its answer to step is no JSON"),
    "list": ("step", "send([1])", "its answer to step is no JSON object: b'[1]'"),
    "two answers": ("step", "raw(b'....'); send(answer)", "its answer to step begins with b'....'"),
    "extra": ("step", "raw(struct.pack('>I', 2) + b'{}' + b'more'); " + SLEEP, "followed by what was not asked for: b'more'"),
    "its own error": ("step", "answer = {'error': 'no such level'}", "it says, asked for step: no such level"),
    "no observation": ("step", "del answer['observation']", 'no "observation", which an episode\'s last step needs'),
    "shape": ("step", "answer['observation'] = [0.1, 0.2]", "observation: expected shape (3,), got shape (2,)"),
    "NaN": ("step", "answer['observation'][1] = float('nan')", "observation[1] is nan"),
    "text": ("reset", "answer['observation'][1] = '0.5'", "observation: expected numbers in lists of shape (3,)"),
    "reward NaN": ("step", "answer['reward'] = float('nan')", '"reward": nan, no finite number'),
    "reward true": ("step", "answer['reward'] = True", '"reward": True; expected a number'),
    "no reward": ("step", "del answer['reward']", '"reward": None; expected a number'),
    "flag": ("step", "answer['truncated'] = 1", '"truncated": 1; expected true or false'),
    "no flag": ("step", "del answer['terminated']", '"terminated": None; expected true or false'),
    "info": ("reset", "answer['info'] = [1]", '"info": [1]; expected an object'),
    "frames": ("step", "answer['frames'] = -1", 'says "frames": -1; expected a number from 0 to 64'),
    "frame of another size": (
        "step",
        "send({**answer, 'frames': 1, 'observation': {'frame': 0, 'dtype': 'float32', 'shape': [3]}}, b'12345678')",
        "has an array that can't be read",
    ),
    "frame of objects": (
        "step",
        "send({**answer, 'frames': 1, 'observation': {'frame': 0, 'dtype': 'object', 'shape': [1]}}, b'12345678')",
        "has an array that can't be read",
    ),
    "array of another dtype": (
        "step",
        "send({**answer, 'frames': 1, 'observation': {'frame': 0, 'dtype': 'float64', 'shape': [3]}}, b'0' * 24)",
        "expected dtype float32, got dtype float64",
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_fault_is_one_line_and_the_end_of_the_log(fault: str) -> None:
    when, what, message = FAULTS[fault]
    simulator = fake(when, what, start_seconds=1.0 if when in ("start", "hello") else 30.0)
    with pytest.raises(SimulatorError) as caught:  # also no BrokenEpisode: nobody would drop the episode
        simulator.reset(1)
        simulator.step(0)
    first, *log = str(caught.value).splitlines()
    assert message in first
    assert first.startswith("the simulator fails: ") and first.endswith(".log:")
    assert log == [f"  line {number}" for number in range(10, 30)]
    kept = Path(first.rpartition("; the end of its log, ")[2].removesuffix(":"))
    assert kept.read_text().startswith("line 0\nline 1\n")
    kept.unlink()
    assert not simulators()


def test_program_that_is_not_there_is_said() -> None:
    with pytest.raises(SimulatorError, match="there is no program 'no-such-game'"):
        Simulator(SEEN, CHOSEN, ["no-such-game", "{port}"]).reset(1)


@pytest.mark.parametrize("address", ["5000", "host:", ":5000", "host:port", "host:99999"])
def test_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match="address must be"):
        tank([], address=address)


def test_step_before_reset_is_said() -> None:
    with pytest.raises(SimulatorError, match="step was called before reset"):
        tank(TANK).step(0)


def test_much_output_does_not_halt_a_simulator() -> None:
    simulator = fake("step", "print('x' * 2_000_000, flush=True)")
    simulator.reset(1)
    assert simulator.step(0)[1] == 1.0
    simulator.close()


def test_floats_may_leave_their_bounds_which_training_tells() -> None:
    simulator = fake("step", "answer['observation'][1] = 1.5")
    simulator.reset(1)
    assert simulator.step(0)[0][1] == 1.5
    simulator.close()


def test_arrays_of_a_nested_space_arrive() -> None:
    space = spaces.Dict({"image": spaces.Box(0, 255, (2, 3, 1), np.uint8), "speed": spaces.Box(-np.inf, np.inf, ())})
    answer = (
        "{'observation': {'image': {'frame': 0, 'dtype': 'uint8', 'shape': [2, 3, 1]}, 'speed': -7.5}, 'frames': 1}"
    )
    command = [sys.executable, "-I", "-S", "-c", FAKE, "reset", f"send({answer}, bytes(range(6)))", "{port}"]
    simulator = Simulator(space, CHOSEN, command)
    observation, _ = simulator.reset(1)
    assert space.contains(observation)
    assert observation["image"].ravel().tolist() == list(range(6)) and observation["speed"] == -7.5
    observation["image"][0] = 9  # its own, to be written to
    simulator.close()


def test_copy_has_a_simulator_of_its_own() -> None:
    simulator = tank(TANK)
    simulator.reset(1)
    for other in (copy.deepcopy(simulator), pickle.loads(pickle.dumps(simulator))):
        assert play(other, 2) == play(simulator, 2)
        other.close()
    assert len(simulators()) == 1
    simulator.close()


# In training, a simulator that is lost is started anew


class Env(gym.Env[Any, Any]):
    """An environment around a simulator."""

    observation_space, action_space = SEEN, CHOSEN

    def __init__(self, simulator: Simulator) -> None:
        self.simulator = simulator

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        return self.simulator.reset(seed or 0)

    def step(self, action: Any) -> Any:
        return self.simulator.step(action)

    def close(self) -> None:
        self.simulator.close()


@pytest.fixture
def training(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Makes this process one of a training run; returns where its restarts are counted."""
    monkeypatch.setenv(child_log.RUN, "test")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    folder = child_log.folder_of_run("restarts")
    assert folder is not None
    return folder


def age(folder: Path) -> None:
    """Makes all restarts so far old enough for another one."""
    old = time.time() - restarts.RESTART_SECONDS
    for path in folder.iterdir():
        os.utime(path, (old, old))


DIES = {"exits": "os._exit(7)", "slow": SLEEP, "hangs up": "peer.shutdown(2); " + SLEEP}


@pytest.mark.parametrize("fault", DIES)
def test_lost_simulator_breaks_the_episode_and_the_next_one_begins(
    fault: str, training: Path, caplog: pytest.LogCaptureFixture
) -> None:
    env = Guard(Env(fake("step", f"if message['action'] == 2: {DIES[fault]}")))
    first, _ = env.reset(seed=1)
    assert env.step(0)[4] == {}
    observation, reward, terminated, truncated, info = env.step(2)
    assert (reward, terminated, truncated, info) == (0.0, False, True, {BROKEN: True})
    assert (observation == first).all()  # the last one that there was
    assert "an episode is dropped, in step 2 of episode 1 of its copy" in caplog.text
    assert "it is started anew: restart 1; 10 in a run and one in 60 s are allowed" in caplog.text
    env.reset()
    assert env.step(0)[4] == {}
    with pytest.raises(EnvironmentFailure, match="restarts before: 1; 10 in a run and one in 60 s"):
        env.step(2)
    assert not simulators()


def test_reset_that_fails_begins_in_another_simulator(training: Path, caplog: pytest.LogCaptureFixture) -> None:
    fails_once = f"if message['seed'] == 5 and not os.path.exists({str(training)!r}): os._exit(1)"
    simulator = fake("reset", fails_once)
    simulator.reset(4)
    assert simulator.reset(5)[0].shape == (3,)
    assert "asked for reset" in caplog.text and "restart 1" in caplog.text
    simulator.close()


def test_ten_restarts_are_enough(training: Path) -> None:
    simulator = fake("step", "os._exit(1)")
    for _ in range(restarts.MOST_RESTARTS):
        simulator.reset(1)
        with pytest.raises(BrokenEpisode):
            simulator.step(0)
        age(training)
    simulator.reset(1)
    with pytest.raises(SimulatorError, match="restarts before: 10"):
        simulator.step(0)


@pytest.mark.parametrize("fault", ["NaN", "garbage", "its own error"])
def test_wrong_answers_end_the_run_since_another_simulator_would_give_them_too(fault: str, training: Path) -> None:
    when, what, message = FAULTS[fault]
    env = Guard(Env(fake(when, what)))
    env.reset(seed=1)
    with pytest.raises(EnvironmentFailure) as caught:
        env.step(0)
    first = str(caught.value).splitlines()[0]
    assert message in first and re.search(r"; the end of its log, \S+\.log, in step 1 of episode 1 of its copy", first)
    assert "Traceback" not in str(caught.value)
    assert not training.exists()


# No orphans


def children_of(parent: int) -> set[int]:
    """Returns the children of a process that still run."""
    tasks = Path(f"/proc/{parent}/task")
    children = [int(child) for path in tasks.glob("*/children") for child in path.read_text().split()]
    return {child for child in children if runs(child)}


OTHERS: set[int] = set()


@pytest.fixture(autouse=True, scope="module")
def others() -> None:
    """Remembers which processes earlier tests of another module have left."""
    OTHERS.update(children_of(os.getpid()))


def simulators() -> set[int]:
    """Returns the simulators that this process has started."""
    return children_of(os.getpid()) - OTHERS


def runs(process: int) -> bool:
    """Tells whether a process runs: neither gone nor only waited for."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_for(condition: Callable[[], Any], seconds: float = 10.0) -> None:
    """Waits until something is so."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


END = {"exception": "1 / 0", "exit": "sys.exit()", "end in C": "import os; os._exit(1)"}


@pytest.mark.skipif(not IS_LINUX, reason="only Linux ends a process with its parent")
@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT, *END])
@pytest.mark.parametrize("is_deaf", [False, True], ids=["reads on", "hangs"])
def test_no_simulator_is_left(end: Any, is_deaf: bool, tmp_path: Path) -> None:
    what = f"open({str(tmp_path / 'asked')!r}, 'w')" + f"; {SLEEP}" * is_deaf
    words = [sys.executable, "-I", "-S", "-c", FAKE, "step", what, "{port}"]
    code = (
        "import signal, sys, time, numpy as np; from gymnasium import spaces; from kit.external import Simulator\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it\n"
        f"one = Simulator(spaces.Box(0.0, 1.0, (3,), np.float32), spaces.Discrete(3), {words!r}, step_seconds=60)\n"
        f"one.reset(1); {END.get(end, 'one.step(0); time.sleep(60)')}"
    )
    starter = subprocess.Popen(
        [sys.executable, "-c", code], stderr=subprocess.DEVNULL, env=clean_environment() | {"PYTHONPATH": str(PACKAGE)}
    )
    started: set[int] = set()

    def has_ended() -> bool:
        started.update(children_of(starter.pid))
        return starter.poll() is not None

    try:
        if isinstance(end, signal.Signals):
            wait_for((tmp_path / "asked").exists, seconds=20.0)
            started.update(children_of(starter.pid))
            starter.send_signal(end)
        wait_for(has_ended, seconds=20.0)
    finally:
        starter.kill()
    assert started
    wait_for(lambda: not any(map(runs, started)), seconds=2.0)


@pytest.mark.skipif(not IS_LINUX, reason="looks into /proc")
def test_what_a_simulator_has_started_ends_with_it() -> None:
    simulator = fake("reset", "print('child', subprocess.Popen(['sleep', '60']).pid)", reset_seconds=5.0)
    simulator.reset(1)
    (process,) = simulators()
    (child,) = children_of(process)
    simulator.close()
    wait_for(lambda: not runs(process) and not runs(child))


# "auto"


COMPUTES = "end = time.process_time() + 4e-3\nwhile time.process_time() < end: pass"
WAITS = "time.sleep(2e-2)"


@pytest.fixture
def detached() -> Iterator[Callable[[str], str]]:
    """Returns a function that starts a simulator which is no child of this process, and returns its address."""
    started = []

    def start(what: str) -> str:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        listen = FAKE.replace(
            'socket.create_connection(("127.0.0.1", int(port)))',
            'socket.create_server(("127.0.0.1", int(port))).accept()[0]',
        )
        code = "import subprocess, sys; print(subprocess.Popen(sys.argv[1:], stdout=-3, stderr=-3).pid)"
        words = [sys.executable, "-I", "-S", "-c", listen, "step", what, str(port)]
        done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=True)
        started.append(int(done.stdout))
        wait_for(lambda: port in listening())
        return f"127.0.0.1:{port}"

    yield start
    for process in started:
        if runs(process):
            os.kill(process, signal.SIGKILL)


def listening() -> set[int]:
    """Returns the ports of this machine at which somebody listens."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return {int(row[1].partition(":")[2], 16) for row in rows if row[3] == "0A"}


@pytest.mark.skipif(not IS_LINUX, reason="elsewhere, a simulator counts as waiting until it has ended")
def test_auto_knows_what_a_simulator_computes_here(detached: Callable[[str], str]) -> None:
    def chosen(make: Callable[[], Simulator]) -> Vectorization:
        return fit(dict.fromkeys(KEYS, "auto"), lambda _: Env(make()), num_cpus=2, is_vector=False)

    assert chosen(lambda: fake("step", COMPUTES)) == Vectorization(2, 16, "sync")
    assert chosen(lambda: fake("step", WAITS)) == Vectorization(0, 64, "async")
    elsewhere = detached(WAITS)
    assert chosen(lambda: tank([], address=elsewhere)) == Vectorization(0, 64, "async")


@pytest.mark.skipif(not IS_LINUX, reason="elsewhere, a simulator counts as waiting until it has ended")
def test_measuring_counts_what_a_simulator_and_its_own_processes_compute() -> None:
    profile = measure(lambda _: Env(fake("step", COMPUTES)), is_vector=False)
    assert profile.cpu_seconds > 3e-3 > 3 * profile.wait_seconds
    through_a_shell = [shutil.which("sh") or "sh", "-c", '"$@"; exit', "sh"]
    words = [*through_a_shell, sys.executable, "-I", "-S", "-c", FAKE, "step", COMPUTES, "{port}"]
    profile = measure(lambda _: Env(Simulator(SEEN, CHOSEN, words)), is_vector=False)
    assert profile.cpu_seconds > 3e-3 > 3 * profile.wait_seconds
