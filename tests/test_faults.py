"""What goes wrong in a night of training: the user's mistakes end it at once, the machine's don't.

At the end of the tests a table says what each fault has cost.
"""

import json
import os
import re
import signal
import sys
import time

import pytest
from conftest import BakedProject
from faults import (
    TABLE,
    assert_whole,
    command_line,
    end,
    env_runners,
    family,
    iterations,
    mark_of,
    start,
    wait_for_iteration,
)

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals and limits as Unix has them")

DEADLINE_SECONDS = 10.0  # from a mistake of the environment to the end of the run, on an idle machine
SLACK = 3.0  # this machine is busy with other tests
ITERATION_STEPS = 2_200  # a batch of 2,048, and what the copies sample beyond it

EXCEPTION = "ZeroDivisionError: the simulator has divided by zero"
MISTAKES = {
    "raise in the first reset": ("raise:-2", EXCEPTION),
    "raise in a later reset": ("raise:-1", EXCEPTION),
    "raise in step 1": ("raise:1", EXCEPTION),
    "raise in step 500": ("raise:500", EXCEPTION),
    "sys.exit in a step": ("exit:20", "SystemExit: 0"),
    "NaN reward": ("nan:20", "the reward is nan, not a finite number"),
    "infinite reward": ("inf:20", "the reward is inf, not a finite number"),
    "observation outside its bounds, --strict": ("outside:20", "observation[0] is 9.9, outside its bounds [0.0, 1.0]"),
    "infinite observation": ("infinite:20", "observation[0] is inf: NaN or infinite"),
}
SYNC = ("--vectorize-mode", "sync")
HERE = ("this process", "0", "--num-env-runners", "0", *SYNC)
RUNNER = ("a runner of two", "2", "--num-env-runners", "2", *SYNC)
CHILD = ("an async copy", "0", "--num-env-runners", "0", "--num-envs-per-env-runner", "2", "--vectorize-mode", "async")
PLACES = (HERE, RUNNER, CHILD)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("mistake", "where"),
    [pytest.param(mistake, where, id=f"{mistake}, {where[0]}") for mistake in MISTAKES for where in PLACES],
)
def test_mistake_of_the_environment_ends_the_run(faulty: BakedProject, mistake: str, where: tuple[str, ...]) -> None:
    place, runner, *options = where
    fault, message = MISTAKES[mistake]
    if mistake.endswith("--strict"):
        options.append("--strict")
    name = f"{mistake} {place}".replace(" ", "-")
    done = end(faulty, name, start(faulty, name, *options, FAULT=f"{fault}:{runner}"))
    TABLE.append((f"{mistake}, {place}", done.seconds, done.lost))
    assert done.code == 1, done.output
    assert message in done.output
    assert re.search(r"in (reset|step \d+) of episode \d+ of its copy, seed \d+", done.output)
    assert f"see it again: python -m corridor_demo replay runs/{name}/failure.json" in done.output
    assert "site-packages" not in done.output
    if fault.startswith(("raise", "exit")):
        assert re.search(r'env\.py", line \d+, in fail', done.output)
    assert done.seconds < DEADLINE_SECONDS * SLACK
    assert done.lost <= ITERATION_STEPS


@pytest.mark.parametrize(
    ("kind", "message", "where"),
    [
        ("raise", EXCEPTION, HERE),
        pytest.param("raise", EXCEPTION, RUNNER, marks=pytest.mark.slow),
        pytest.param("exit", "SystemExit: 0", CHILD, marks=pytest.mark.slow),
        pytest.param("nan", "the reward is nan", HERE, marks=pytest.mark.slow),
        pytest.param("outside", "observation[0] is 9.9", RUNNER, marks=pytest.mark.slow),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else value,
)
def test_failure_can_be_seen_again(faulty: BakedProject, kind: str, message: str, where: tuple[str, ...]) -> None:
    """A fault of one episode in a hundred, by its seed: the same step, the same message, in a process without Ray."""
    place, runner, *options = where
    name, fault = f"again-{kind}-{place}".replace(" ", "-"), f"{kind}:seed:{runner}"
    if kind == "outside":
        options.append("--strict")
    if where != CHILD:
        options += ["--num-envs-per-env-runner", "8"]  # all is given: "auto" would find the fault as it measures
    done = end(faulty, name, start(faulty, name, *options, FAULT=fault))
    assert done.code == 1 and done.lost > 0, done.output
    stated = re.search(r"in step 3 of episode (\d+) of its copy, seed (\d+)", done.output)
    assert stated and message in done.output, done.output
    again = faulty.command("replay", f"runs/{name}/failure.json", FAULT=fault)
    assert again.returncode == 1, again.stdout
    assert f"in step 3 of episode 1 of its copy, seed {stated[2]}" in again.stderr
    assert message in again.stderr
    mended = faulty.command("replay", f"runs/{name}/failure.json", FAULT="::0")
    assert mended.returncode == 0
    assert mended.stdout.startswith("3 steps, no failure")


@pytest.mark.slow
@pytest.mark.parametrize("where", PLACES, ids=lambda where: where[0])
def test_hang_is_reported_with_its_stack(faulty: BakedProject, where: tuple[str, ...]) -> None:
    place, runner, *options = where
    name = f"hang-{place}".replace(" ", "-")
    done = end(faulty, name, start(faulty, name, *options, "--hang-seconds", "3", FAULT=f"hang:300:{runner}"))
    TABLE.append((f"hang, {place} (--hang-seconds 3)", done.seconds, done.lost))
    assert done.code == 1, done.output
    assert "the environment hangs: a reset or step has not returned for 3 s" in done.output
    assert "time.sleep(3600)" in done.output
    assert done.seconds < (3 + DEADLINE_SECONDS) * SLACK


@pytest.mark.slow
@pytest.mark.parametrize("where", PLACES, ids=lambda where: where[0])
def test_hang_in_c_code_that_keeps_pythons_lock_is_reported(faulty: BakedProject, where: tuple[str, ...]) -> None:
    place, runner, *options = where
    name = f"gil-{place}".replace(" ", "-")
    process = start(faulty, name, *options, "--hang-seconds", "3", FAULT=f"gil:300:{runner}")
    done = end(faulty, name, process, linger=120.0)  # Ray's agents take a minute to see that the driver is gone
    TABLE.append((f"hang in C code, {place} (--hang-seconds 3)", done.seconds, done.lost))
    assert done.code == (-signal.SIGKILL if place == "this process" else 1), done.output
    assert "the environment hangs in a call that does not let Python run" in done.output
    assert re.search(r'env\.py", line \d+,? in fail', done.output), done.output
    if place != "this process":  # there, nothing but the stack can be written
        assert "ctypes.PyDLL(None).sleep(3600)" in done.output
    assert done.seconds < (6 + DEADLINE_SECONDS) * SLACK


@pytest.mark.slow
@pytest.mark.parametrize("where", (HERE, CHILD, RUNNER), ids=lambda where: where[0])
def test_suspended_run_goes_on(faulty: BakedProject, where: tuple[str, ...]) -> None:
    """As by Ctrl-Z or a closed laptop, for much longer than a step may take."""
    place, _, *options = where
    name = f"suspended-{place}".replace(" ", "-")
    process = start(faulty, name, *options, "--hang-seconds", "2", "--max-env-steps", "16000")
    wait_for_iteration(faulty, name, 2)
    suspended = family(mark_of(faulty, name))
    for number in suspended:
        os.kill(number, signal.SIGSTOP)
    time.sleep(8)
    for number in suspended:
        os.kill(number, signal.SIGCONT)
    done = end(faulty, name, process)
    assert done.code == 0, done.output
    assert "hangs" not in done.output and "lost" not in done.output
    assert_whole(faulty, name)


@pytest.mark.slow
@pytest.mark.parametrize("where", (HERE, CHILD, RUNNER), ids=lambda where: where[0])
def test_floats_outside_their_bounds_are_counted(faulty: BakedProject, where: tuple[str, ...]) -> None:
    place, runner, *options = where
    name = f"outside-{place}".replace(" ", "-")
    done = end(faulty, name, start(faulty, name, *options, "--max-env-steps", "6000", FAULT=f"outside:20:{runner}"))
    assert done.code == 0, done.output
    assert done.output.count("observation[0] is 9.9, outside its bounds [0.0, 1.0], in step") == 1
    counted = json.loads(faulty.read(f"runs/{name}/summary.json"))["observations_out_of_bounds"]
    assert counted == len(faulty.read(f"{name}.outside")) > 0


@pytest.mark.slow
def test_one_failed_runner_ends_the_run_while_the_other_is_slow(faulty: BakedProject) -> None:
    options = ("--num-env-runners", "2", "--num-envs-per-env-runner", "1")
    done = end(faulty, "slow", start(faulty, "slow", *options, FAULT="raise:5:2", STEP_SECONDS="0.3"))
    TABLE.append(("raise in one runner, the other takes minutes to sample", done.seconds, done.lost))
    assert done.code == 1, done.output
    assert EXCEPTION in done.output
    assert done.seconds < DEADLINE_SECONDS * SLACK


@pytest.mark.slow
def test_iteration_without_a_step_ends_the_run(faulty: BakedProject) -> None:
    code = (
        "from corridor_demo.kit.training.algorithm import RestartableAlgorithm;"
        "RestartableAlgorithm.train = lambda self: {'env_runners': {}, 'num_env_steps_sampled_lifetime': 0};"
        "from corridor_demo.kit.cli import run; from corridor_demo.train import main;"
        "run(lambda: main(['--name', 'nothing', '--num-env-runners', '0']))"
    )
    done = faulty.run("-c", code)
    assert done.returncode == 1
    assert done.stderr == "ERROR: iteration 1 ended without a single step of the environment\n"


@pytest.mark.slow
def test_episode_without_end_is_one_warning(faulty: BakedProject) -> None:
    options = ("--num-env-runners", "2", "--num-envs-per-env-runner", "2", "--max-env-steps", "8000")
    done = end(faulty, "endless", start(faulty, "endless", *options, ENDLESS="1"))
    assert done.code == 0, done.output
    warning = "WARNING corridor_demo.kit.guard.calls: an episode has taken 300 steps; does it ever end?"
    assert done.output.count(warning) == 1
    assert faulty.read("runs/endless/environment.log").count(warning) == 1


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_killed_env_runner_is_replaced(faulty: BakedProject, number: signal.Signals) -> None:
    name = f"runner-{number.name}"
    process = start(faulty, name, "--num-env-runners", "2", "--max-env-steps", "30000")
    wait_for_iteration(faulty, name, 3)
    os.kill(env_runners(mark_of(faulty, name))[0], number)
    killed, before = time.time(), len(iterations(faulty, name))
    wait_for_iteration(faulty, name, before + 2)
    seconds = time.time() - killed
    done = end(faulty, name, process)
    TABLE.append((f"{number.name} of an env runner", seconds, done.lost))
    assert done.code == 0, done.output
    assert "a process that trains was lost (ActorDiedError)" in done.output
    assert_whole(faulty, name)
    assert done.lost <= ITERATION_STEPS


@pytest.mark.slow
def test_killed_copy_is_replaced(faulty: BakedProject) -> None:
    process = start(faulty, "child", *CHILD[2:], "--max-env-steps", "12000")
    wait_for_iteration(faulty, "child", 2)
    copies = [
        number for number in family(mark_of(faulty, "child")) if parent(number) == process.pid and is_copy(number)
    ]
    assert len(copies) == 2
    os.kill(copies[-1], signal.SIGKILL)
    killed, before = time.time(), len(iterations(faulty, "child"))
    wait_for_iteration(faulty, "child", before + 1)
    seconds = time.time() - killed
    done = end(faulty, "child", process)
    TABLE.append(("SIGKILL of an async copy", seconds, done.lost))
    assert done.code == 0, done.output
    assert_whole(faulty, "child")
    assert done.lost <= ITERATION_STEPS


def parent(process: int) -> int:
    """Returns the process that started a process."""
    with open(f"/proc/{process}/stat") as file:
        return int(file.read().rpartition(")")[2].split()[1])


def is_copy(process: int) -> bool:
    """Tells whether it is a fork of the driver that steps an environment."""
    with open(f"/proc/{process}/cmdline") as file:
        return "corridor_demo\0train" in file.read()


@pytest.mark.slow
def test_keep_going_goes_on_after_a_failure(faulty: BakedProject) -> None:
    options = ("--keep-going", "--num-env-runners", "1", "--max-env-steps", "12000")
    done = end(faulty, "keep", start(faulty, "keep", *options, FAULT="raise:200:1"))
    assert done.code == 0, done.output
    assert done.output.count(EXCEPTION) >= 1
    assert "going on after iteration" in done.output
    assert_whole(faulty, "keep")


WORKERS = {
    "this process": (HERE, "worker 0 of 0"),
    "a runner of two": (RUNNER, "worker 2 of 2"),
    "an async copy": (CHILD, "worker 0 of 0"),
    "an async copy of a runner": (
        ("", "2", "--num-env-runners", "2", "--num-envs-per-env-runner", "2", "--vectorize-mode", "async"),
        "worker 2 of 2",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("place", WORKERS)
def test_environment_knows_its_worker_and_its_log_is_shown_and_kept(faulty: BakedProject, place: str) -> None:
    (_, runner, *options), worker = WORKERS[place]
    name = f"log-{place}".replace(" ", "-")
    done = end(faulty, name, start(faulty, name, *options, "--max-env-steps", "4000", FAULT=f"log:7:{runner}"))
    assert done.code == 0, done.output
    line = f"INFO corridor_demo.env: the lights went out at {worker}"
    kept = faulty.read(f"runs/{name}/environment.log")
    assert line in kept
    assert line in done.output
    assert ("[env runner 2]" in kept) == (runner == "2")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc")
def test_nothing_listens_beyond_this_machine(faulty: BakedProject) -> None:
    process = start(faulty, "quiet", "--num-env-runners", "2", "--max-env-steps", "200000")
    wait_for_iteration(faulty, "quiet", 1)
    listening = [address for number in family(mark_of(faulty, "quiet")) for address in listens(number)]
    commands = [command_line(number) for number in family(mark_of(faulty, "quiet"))]
    process.send_signal(signal.SIGTERM)
    end(faulty, "quiet", process)
    assert listening  # Ray's own
    assert set(listening) <= {"127.0.0.1", "::1"}, listening
    assert any("raylet" in command for command in commands)
    dashboards = [command for command in commands if "dashboard/dashboard.py" in command]
    assert all("--minimal" in command and "--disable-frontend" in command for command in dashboards)


def listens(process: int) -> list[str]:
    """Returns the addresses at which a process accepts TCP connections."""
    sockets = set()
    for entry in os.scandir(f"/proc/{process}/fd"):
        try:
            sockets.add(os.readlink(entry.path))
        except OSError:  # closed meanwhile
            continue
    found = []
    for table in ("tcp", "tcp6"):
        for line in open(f"/proc/{process}/net/{table}").read().splitlines()[1:]:
            _, local, _, state, *rest = line.split()
            if state == "0A" and f"socket:[{rest[5]}]" in sockets:
                found.append(as_address(local.split(":")[0]))
    return found


def as_address(text: str) -> str:
    """Reads an address as the kernel writes it: words of the machine's byte order, in hexadecimal."""
    import ipaddress

    words = [int(text[i : i + 8], 16).to_bytes(4, sys.byteorder) for i in range(0, len(text), 8)]
    address = ipaddress.ip_address(b"".join(words))
    mapped = getattr(address, "ipv4_mapped", None)
    return str(mapped or address)


@pytest.mark.slow
def test_faults_are_of_the_environment_only(faulty: BakedProject) -> None:
    """Without FAULT the project that these tests break trains, and not a step is lost."""
    done = end(faulty, "sound", start(faulty, "sound", "--num-env-runners", "0", "--max-env-steps", "6000"))
    assert done.code == 0, done.output
    assert done.lost == 0
    assert json.loads(faulty.read("runs/sound/summary.json"))["env_steps"] >= 6000
