"""A newcomer's hour: five tasks by the pages only, typed into a terminal, within CONTRIBUTING.md's commands and files.

A command is typed only if a page that has been opened shows it; `...` on a page, and names in capitals, are the user's.
"""

import os
import re
import secrets
import select
import signal
import sys
import tempfile
import time
from pathlib import Path

import pytest
from conftest import STARTERS, TEMPLATE, BakedProject, bake_project, clean_environment
from test_cluster import free_port
from test_rung8_filled_in_stub import fill_in

pty = pytest.importorskip("pty", reason="needs a pseudo-terminal")
termios = pytest.importorskip("termios")

# The virtual environments of the tests have no pip of their own, and no network: what it is asked for is there.
PIP = 'pip() { python -m pip "$@" --no-index --no-deps --no-build-isolation --disable-pip-version-check; }'
RAY = "#!{python}\nfrom ray.scripts.scripts import main\n\nmain()\n"  # nor have they Ray's command
# A cart is to stand at 0; its place and its speed have bounds of their own.
RESET = """\
        self._state = self.np_random.uniform([-20, -4], [50, 4]).astype(np.float32)
        return self._state.copy(), {}
"""
STEP = """\
        speed = np.clip(10 * float(action[0]), -40, 50)
        place = np.clip(self._state[0] + speed, -20, 50)
        self._state = np.array([place, speed], np.float32)
        return self._state.copy(), -abs(float(place)) / 50, False, False, {}
"""


class Terminal:
    """Bash in a pseudo-terminal."""

    def __init__(self, folder: Path) -> None:
        environment = clean_environment() | {"HOME": str(folder), "COLUMNS": "200"}
        self._process, self._screen = pty.fork()
        if self._process == 0:
            os.chdir(folder)
            os.execvpe("bash", ["bash", "--norc", "--noprofile", "--noediting"], environment)
        attributes = termios.tcgetattr(self._screen)
        attributes[3] &= ~termios.ECHO  # what is shown is then what the commands print
        termios.tcsetattr(self._screen, termios.TCSANOW, attributes)
        self.type(PIP)

    def see(self, pattern: str, seconds: float = 600) -> "re.Match[str]":
        """Waits until a text is shown."""
        shown, deadline = "", time.monotonic() + seconds
        while not (found := re.search(pattern, shown)):
            assert time.monotonic() < deadline, f"{pattern} was not shown:\n{shown}"
            if select.select([self._screen], [], [], 1.0)[0]:
                shown += os.read(self._screen, 65536).decode(errors="replace")
        return found

    def type(self, *lines: str) -> str:
        """Types a command and what it asks for; returns what it shows, and fails if its exit code is not 0."""
        mark = secrets.token_hex(4)
        typed = [*lines, f"echo {mark[:4]}''{mark[4:]} $?"]  # the quotes keep it apart from a line that is echoed
        os.write(self._screen, "".join(f"{line}\n" for line in typed).encode())
        found = self.see(rf"{mark} (\d+)")
        assert found[1] == "0", f"{lines[0]} ended with {found[1]}:\n{found.string}"
        return found.string[: found.start()].replace("\r\n", "\n")

    def close(self) -> None:
        """Ends what runs in the background, as the pages say, and hangs up."""
        os.write(self._screen, b"\x03")
        self.type("kill $(jobs -p) 2>/dev/null; wait; true")
        os.kill(self._process, signal.SIGHUP)
        os.waitpid(self._process, 0)
        os.close(self._screen)


class Newcomer:
    """Opens pages, types what they show, and counts both; in a rehearsal only the project is baked.

    Attributes:
        is_real: whether what is typed is run.
        sockets: a folder for those of Ray.
        commands: how many commands were typed.
        files: how many files were opened, to read or to write them.
    """

    def __init__(self, folder: Path, is_real: bool) -> None:
        self.is_real, self.commands, self.files = is_real, 0, 0
        self.sockets = tempfile.TemporaryDirectory(
            prefix="ray", ignore_cleanup_errors=True
        )  # their paths must be short
        self._folder, self._read, self._terminals = folder, "", list[Terminal]()
        self.project = BakedProject(folder / "my-environment", "my_environment")

    def opens(self, page: Path) -> None:
        """Opens a file; the package's name on the kit's pages is any project's."""
        self._read += page.read_text(encoding="utf-8").replace("my_package", self.project.package)
        self.files += 1

    def opens_the_pages(self, page: str) -> None:
        """Opens the project's README, and the page that it names."""
        self.opens(self.project.path / "README.md")
        assert f"kit/docs/{page}.md" in self._read
        self.opens(self.project.source / "kit" / "docs" / f"{page}.md")

    def types(self, command: str, shows: str = "", **words: str) -> None:
        """Types a command that a page shows, with the user's words for the page's, and for the test's sake `more`."""
        assert re.search(rf"(?m)(^|`){re.escape(command)}", self._read), f"no page that was opened shows {command}"
        self.commands += 1
        if self.is_real:
            more = words.pop("more", "")
            for old, new in words.items():
                command = command.replace(old, new)
            shown = self._terminals[-1].type(command + more)
            assert re.search(shows, shown), shown

    def bakes(self, starter: str, *spaces: str) -> None:
        """Does as the template's README says, up to `make setup`, which finds done what takes a network."""
        self.opens(TEMPLATE / "README.md")
        command = "uvx cookiecutter gh:<org>/cookiecutter-rllib-env"
        assert command in self._read
        self.commands += 1
        answers = [*[""] * 5, str(STARTERS.index(starter) + 1), *(spaces or ("", "")), "50"]
        bash = Terminal(self._folder)
        bash.type(f"{sys.executable} -m cookiecutter {TEMPLATE}", *answers)
        bash.close()
        self._set_up()
        self.types("cd my-environment")
        self.types("make setup")

    def has_baked(self, **answers: str) -> None:
        """Has done that an hour ago."""
        bake_project(self._folder, **answers)
        self._set_up()
        if self.is_real:
            self._terminals[-1].type("cd my-environment")

    def sees(self, words: str) -> None:
        """Waits for what a command in the background says."""
        if self.is_real:
            self._terminals[-1].see(words, seconds=120)

    def walks_to_another_machine(self) -> None:
        """Sits down at another machine, to which the project's folder was copied; here that is another folder."""
        if self.is_real:
            self._terminals.append(Terminal(self.project.copy(self.project.path.parent / "other").path))

    def walks_back(self) -> None:
        """Goes on at the terminal before."""
        if self.is_real:
            self._terminals.insert(0, self._terminals.pop())

    def copies(self, words: str) -> str:
        """Returns the lines of Python that have these words, from a page that was opened."""
        return next(lines for lines in re.findall(r"```python\n(.*?)```", self._read, re.DOTALL) if words in lines)

    def _set_up(self) -> None:
        if self.is_real:
            self.project.install()
            (self.project.path / ".venv" / ".ready").touch()
            ray = self.project.python.with_name("ray")
            ray.write_text(RAY.format(python=self.project.python), encoding="utf-8")
            ray.chmod(0o755)
            self._terminals.append(Terminal(self._folder))

    def leaves(self) -> None:
        """Closes the terminals."""
        while self._terminals:
            self._terminals.pop().close()


def train_an_agent(me: Newcomer) -> None:
    me.bakes("corridor")
    me.types("make test", shows=r"\d+ passed")
    me.types("make train", shows=r"solved: the mean return .*\n.*\n*learned: mean return")
    me.types("make evaluate", shows="random")


def write_an_environment(me: Newcomer) -> None:
    me.bakes("stub", "Box([-20, -40], [50, 50])", "Box(-1.0, 1.0, (1,))")
    me.types("make test", shows=r"to do: .*env\.py:\d+: reset\(\) is still to be written")
    me.opens(me.project.source / "env.py")
    fill_in(me.project, RESET, STEP)
    page = me.project.source / "env.py"
    page.write_text(page.read_text(encoding="utf-8").replace("THRESHOLD = None", "THRESHOLD = -8.0"), encoding="utf-8")
    me.types("make test", shows=r"\d+ passed")
    me.types("make train", shows="solved: the mean return")
    me.types("make evaluate", shows="random")


def train_from_images(me: Newcomer) -> None:
    me.bakes("intercept")
    me.opens(me.project.path / "README.md")
    me.types("source .venv/bin/activate")
    start = "python -m my_environment train"
    me.types(start, shows="24 x 24", more=""" --config '{"pixels": true}' --max-env-steps 2500""")
    me.types("python -m my_environment evaluate", shows="random")


def add_a_machine(me: Newcomer) -> None:
    me.has_baked(starter="corridor")
    me.opens_the_pages("training")
    port, token = str(free_port()), secrets.token_hex(32)
    # What stands for a machine of its own: a CPU, and its files apart.
    machine = "--num-cpus=1 --node-ip-address=127.0.0.1 --disable-usage-stats"
    me.types("source .venv/bin/activate")
    me.types("export RAY_AUTH_MODE=token RAY_AUTH_TOKEN=...", **{"...": token})
    head = f"--port={port} {machine} --include-dashboard=false --temp-dir={me.sockets.name}"
    me.types("ray start --head --port=6379 --block &", **{"--port=6379": head})
    me.sees("Ray runtime started")
    me.walks_to_another_machine()
    me.types("make setup")
    me.types("source .venv/bin/activate")
    me.types("export RAY_AUTH_MODE=token RAY_AUTH_TOKEN=...", **{"...": token})
    me.types("ray start --address=FIRST:6379 --block", more=f" {machine} &", **{"FIRST:6379": f"127.0.0.1:{port}"})
    me.sees("Ray runtime started")
    me.walks_back()
    few = " --num-env-runners 2 --max-env-steps 3000"
    train = "python -m my_environment train --address auto"  # "auto" would find others' clusters on the same machine
    me.types(train, shows="in each of 2 processes", more=few, auto=f"127.0.0.1:{port}")


def ship_the_policy(me: Newcomer) -> None:
    me.has_baked(starter="corridor")
    if me.is_real:
        me.project.command("train", "--name", "first", "--max-env-steps", "2100", check=True)
    me.opens_the_pages("policy")
    me.types("source .venv/bin/activate")
    me.types('pip install -e ".[export]"')
    me.types("python -m my_environment export first", shows=r"runs/first/policy\.onnx: ")
    me.types("pip install onnxruntime numpy")
    program = me.project.path / "use.py"
    program.write_text(me.copies("onnxruntime.InferenceSession") + "\nprint(actions[0].shape)\n", encoding="utf-8")
    me.opens(program)
    if me.is_real:
        assert me.project.run("use.py", check=True).stdout == "(64,)\n"


TASKS = {
    "a first trained agent": train_an_agent,
    "your own environment, with bounds for each dimension and one continuous action": write_an_environment,
    "a policy that sees images": train_from_images,
    "a second machine": add_a_machine,
    "a policy that is shipped": ship_the_policy,
}


def budget() -> dict[str, tuple[int, int]]:
    """Returns the commands and files of each task, as CONTRIBUTING.md has them."""
    text = (TEMPLATE / "CONTRIBUTING.md").read_text(encoding="utf-8")
    rows = re.findall(r"(?m)^\| (.*?) \| (\d+) \| (\d+) \|$", text.split("## A newcomer's hour")[1])
    return {task: (int(commands), int(files)) for task, commands, files in rows}


@pytest.mark.parametrize(
    "is_real", [pytest.param(False, id="rehearsed"), pytest.param(True, id="done", marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("task", TASKS)
def test_newcomer_gets_there_within_the_budget(tmp_path: Path, task: str, is_real: bool) -> None:
    newcomer = Newcomer(tmp_path, is_real)
    try:
        TASKS[task](newcomer)
    finally:
        newcomer.leaves()
    assert (newcomer.commands, newcomer.files) == budget()[task]


def test_budget_is_of_these_tasks() -> None:
    assert list(budget()) == list(TASKS)
