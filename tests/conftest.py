"""Bakes projects, and installs them beside the heavy packages that this suite's own environment already has."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from cookiecutter.main import cookiecutter

TEMPLATE = Path(__file__).parents[1]
# The kit is the same in every project: its unit tests import it as `kit`, where it lies.
PACKAGE = TEMPLATE / "{{cookiecutter.project_slug}}" / "src" / "{{cookiecutter.__package_name}}"
sys.path.insert(0, str(PACKAGE))
STARTERS: list[str] = json.loads((TEMPLATE / "cookiecutter.json").read_text(encoding="utf-8"))["starter"]
# The files that take longest are begun first, so that at the end no process is left alone with one of them.
LONGEST = ("rung5_trains", "rung7_mutants", "settings", "tracking", "rung3_clean", "benchmark")


@dataclass(frozen=True)
class BakedProject:
    """A project made by the template.

    Attributes:
        path: its folder.
        package: the name that Python imports.
    """

    path: Path
    package: str

    @property
    def python(self) -> Path:
        """The interpreter of its virtual environment, see `install`."""
        return self.path / ".venv" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")

    @property
    def source(self) -> Path:
        """The folder of its package."""
        return self.path / "src" / self.package

    def read(self, name: str) -> str:
        """Returns the text of one of its files."""
        return (self.path / name).read_text(encoding="utf-8")

    def manual(self, page: str) -> str:
        """Returns a page of the kit's docs, the names in it being this project's."""
        text = self.read(f"src/{self.package}/kit/docs/{page}.md").replace("my_package", self.package)
        return text.replace("MyEnv", re.findall(r"(?m)^class (\w+)\(", self.read(f"src/{self.package}/env.py"))[-1])

    def summary(self, run: str) -> dict[str, Any]:
        """Returns a run's summary.json."""
        return json.loads(self.read(f"runs/{run}/summary.json"))

    def typed(self, words: str) -> list[str]:
        """Returns what its README's table says to type after `python`, in the first command that has these words."""
        commands = re.findall(r"(?m)^\| `python (-m .*?)`", self.read("README.md"))
        return shlex.split(next(command for command in commands if words in command))

    def files(self) -> set[str]:
        """Returns the paths of all its files."""
        return {path.relative_to(self.path).as_posix() for path in self.path.rglob("*") if path.is_file()}

    def install(self) -> "BakedProject":
        """Gives it a virtual environment that sees this suite's packages, and installs it there, editable."""
        self.make_venv()
        self.run("-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--editable", ".", check=True)
        return self

    def copy(self, folder: Path) -> "BakedProject":
        """Returns a copy of it in `folder`, without its runs, whose virtual environment imports the copy."""
        copy = BakedProject(folder / self.path.name, self.package)
        shutil.copytree(self.path, copy.path, symlinks=True, ignore=shutil.ignore_patterns("runs", ".git"))
        old, new = str(self.path).encode(), str(copy.path).encode()
        for file in (copy.path / ".venv").rglob("*"):
            if not file.is_symlink() and file.is_file() and old in (content := file.read_bytes()):
                file.write_bytes(content.replace(old, new))
        return copy

    def make_venv(self) -> None:
        """Makes a virtual environment without the project, that sees this suite's packages."""
        venv.create(self.path / ".venv", symlinks=os.name != "nt")
        where = self.run("-c", "import sysconfig; print(sysconfig.get_path('purelib'))", check=True).stdout.strip()
        Path(where, "shared.pth").write_text(sysconfig.get_path("purelib"), encoding="utf-8")

    def run(
        self, *arguments: str, check: bool = False, timeout: float = 600, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Runs the project's Python in its folder; `check` fails the test with the output if it exits with an error."""
        done = subprocess.run(
            [str(self.python), *arguments],
            cwd=self.path,
            capture_output=True,
            text=True,
            timeout=timeout,
            stdin=subprocess.DEVNULL,
            env=clean_environment() | environment,
        )
        if check and done.returncode != 0:
            pytest.fail(f"{' '.join(arguments)} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
        return done

    def command(
        self, name: str, *arguments: str, check: bool = False, timeout: float = 600, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Runs one of its commands, `python -m <package> <name>`."""
        return self.run("-m", self.package, name, *arguments, check=check, timeout=timeout, **environment)


def clean_environment() -> dict[str, str]:
    """Returns the environment variables of a user's shell: none of the ones that belong to this test run."""
    ours = ("PYTEST", "PYTHONPATH", "VIRTUAL_ENV", "COV_", "RAY_", "MAKE", "MFLAGS")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)} | {"OMP_NUM_THREADS": "1"}


def bake_project(folder: Path, **answers: str) -> BakedProject:
    """Bakes the template into `folder` with the default answers, but for `answers`.

    Nothing of the user's own cookiecutter settings is read or written.
    """
    settings = folder / ".cookiecutter.yaml"
    places = {"replay_dir": str(folder / ".replay"), "cookiecutters_dir": str(folder / ".cookiecutters")}
    settings.write_text(yaml.safe_dump(places), encoding="utf-8")
    try:
        path = cookiecutter(
            str(TEMPLATE), no_input=True, extra_context=answers, output_dir=str(folder), config_file=str(settings)
        )
    finally:
        settings.unlink()
        shutil.rmtree(folder / ".replay", ignore_errors=True)
    (package,) = Path(path, "src").iterdir()
    return BakedProject(Path(path), package.name)


@pytest.fixture(scope="session")
def bake(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., BakedProject]:
    """Returns a function that bakes a project with the given answers into a folder of its own."""
    return lambda **answers: bake_project(tmp_path_factory.mktemp("bake"), **answers)


@pytest.fixture(scope="session")
def corridor(bake: Callable[..., BakedProject]) -> BakedProject:
    """The worked example, installed."""
    return bake(project_name="Corridor Demo", starter="corridor").install()


@pytest.fixture(scope="session")
def trained(corridor: BakedProject, tmp_path_factory: pytest.TempPathFactory) -> BakedProject:
    """The worked example with the run `first`, trained to its threshold; what that has printed is in train.txt."""
    project = corridor.copy(tmp_path_factory.mktemp("trained"))
    done = project.command("train", "--name", "first", check=True)
    (project.path / "train.txt").write_text(done.stdout + done.stderr, encoding="utf-8")
    return project


@pytest.fixture(scope="session")
def vector(bake: Callable[..., BakedProject]) -> BakedProject:
    """The worked example that steps all its copies at once, installed."""
    return bake(project_name="Corridors", starter="vector").install()


@pytest.fixture(scope="session")
def multi_agent(bake: Callable[..., BakedProject]) -> BakedProject:
    """The worked example of several agents, installed."""
    return bake(project_name="Load Carriers", starter="multi_agent").install()


@pytest.fixture(scope="session")
def intercept(bake: Callable[..., BakedProject]) -> BakedProject:
    """The worked example that is drawn and played, installed."""
    return bake(project_name="Intercept Demo", starter="intercept").install()


@pytest.fixture(scope="session")
def external(bake: Callable[..., BakedProject]) -> BakedProject:
    """The worked example whose simulator is another process, installed."""
    return bake(project_name="Tank Demo", starter="external").install()


@pytest.fixture(scope="session")
def stub(bake: Callable[..., BakedProject]) -> BakedProject:
    """The stub with the default answers, installed, nothing filled in."""
    return bake().install()


@pytest.fixture(scope="session")
def faulty(bake: Callable[..., BakedProject]) -> BakedProject:
    """The worked example, made to fail on demand."""
    from faults import make_faulty

    return make_faulty(bake(project_name="Corridor Demo", starter="corridor"))


@pytest.fixture(scope="session", autouse=True)
def one_cache_of_types(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Lets mypy read Gymnasium, NumPy and Ray once, however many projects it looks at."""
    base = tmp_path_factory.getbasetemp()
    os.environ["MYPY_CACHE_DIR"] = str((base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "mypy")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts the longest files first."""
    order = {f"test_{name}": place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: order.get(item.path.stem, len(order)))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Prints what the faults have cost."""
    from faults import TABLE

    if TABLE:
        terminalreporter.section("faults")
        terminalreporter.write_line(f"{'fault':70} {'seconds':>8} {'steps lost':>11}")
    for name, seconds, lost in TABLE:
        numbers = ["-" if seconds is None else f"{seconds:.1f}", "-" if lost is None else f"{lost:,}"]
        terminalreporter.write_line(f"{name:70} {numbers[0]:>8} {numbers[1]:>11}")
