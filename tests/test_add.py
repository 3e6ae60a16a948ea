"""`add` puts another environment into a project; `--env` chooses it, and neither meets the other's runs."""

import importlib
import json
import os
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import PACKAGE, BakedProject
from kit.commands import add, dispatch
from kit.contract import ignored
from kit.errors import RunError, UsageError
from kit.policy.find import find_policy, newest_run
from kit.search.search import Search
from kit.search.space import parse_params
from kit.search.trainer import Trainer
from kit.task import Task
from kit.tasks import names_of, task_named
from kit.training.interrupt import Interrupt
from kit.training.options import parse
from kit.training.resolve import resolve_run
from kit.vectorization.settings import find_root

REGISTRATION = """
import sys
sys.path.insert(0, {above!r})
from kit.task import Task
TASK = Task("maze/{env}-v0", type("{env}", (), {{"__module__": "{home}.env"}}), None, None, "{home}.ppo:ppo_config")
"""
TRAIN = "def main(arguments, task):\n    print(*arguments, task.env_id)\n    return 0\n"
README = f"# Maze\n\n{add.TABLE}| `maze/Maze-v0` | `src/maze/env.py` | |\n\nThe end.\n"
POLICIES = {"first": "maze/Maze-v0", "second": "maze/OtherEnv-v0", "third": "maze/Maze-v0"}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a project of the package `maze`, which is imported; the working directory."""
    root = tmp_path / "project"
    package = root / "src" / "maze"
    for folder in (package, root / "tests"):
        folder.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "train.py").write_text(TRAIN)
    registration = REGISTRATION.format(above=str(PACKAGE), env="Maze", home="maze")
    (package / "registration.py").write_text(registration)
    (root / "README.md").write_text(README)
    monkeypatch.chdir(root)
    monkeypatch.syspath_prepend(str(package.parent))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    importlib.import_module("maze")
    return root


@pytest.fixture(autouse=True)
def forget_maze() -> Any:
    """Leaves no module of the project behind."""
    yield
    for name in [name for name in sys.modules if name.partition(".")[0] == "maze"]:
        del sys.modules[name]


@pytest.fixture
def task(project: Path) -> Task:
    return task_named("maze", "maze")


def add_light(root: Path, name: str, text: str = "") -> None:
    """Puts a second task into a project, without an environment."""
    folder = root / "src" / "maze" / name
    folder.mkdir()
    (folder / "__init__.py").touch()
    registration = REGISTRATION.format(above=str(PACKAGE), env="OtherEnv", home=f"maze.{name}")
    (folder / "registration.py").write_text(text or registration)


def files(root: Path) -> dict[str, str]:
    """Returns the texts of a folder's files."""
    return {path.relative_to(root).as_posix(): path.read_text() for path in sorted(root.rglob("*")) if path.is_file()}


def make_runs(root: Path) -> None:
    """Leaves runs of two environments, each newer than the one before."""
    for age, (name, env_id) in enumerate(POLICIES.items()):
        policy = root / "runs" / name / "checkpoints" / "best" / "policy"
        policy.mkdir(parents=True)
        (policy / "policy.json").write_text(json.dumps({"env_id": env_id}))
        config = root / "runs" / name / "config.json"
        config.write_text(
            json.dumps({"env_id": env_id, "options": {"config": {}, "set": {}}, "vectorization": {}, "ppo": {}})
        )
        os.utime(config, (age, age))


def test_added_environment_is_what_the_stub_is_baked_to(
    project: Path, task: Task, bake: Callable[..., BakedProject]
) -> None:
    """The kit's copy of the stub is up to date: if not, run tools/hash_kit.py."""
    before = files(project)
    assert dispatch(task, ["add", "other-env"]) == 0
    written = {name: text for name, text in files(project).items() if before.get(name) != text}
    readme = written.pop("README.md")
    row = "| `maze/OtherEnv-v0` | `src/maze/other_env/env.py` | `--env other-env` |\n"
    assert readme == README.replace("\n\nThe end", f"\n{row}\nThe end")
    stub = bake(project_name="Other Env")
    places = {"test_other_env.py": "tests/test_env.py", "vectorization.toml": "vectorization.toml"}
    for path, text in written.items():
        name = Path(path).name
        place = places.get(name, f"src/{stub.package}/{name}")
        as_baked = text.replace("maze/OtherEnv", "other_env/OtherEnv").replace("maze.other_env", "other_env")
        assert sorted(as_baked.replace("from ..kit", "from .kit").splitlines()) == sorted(stub.read(place).splitlines())
    assert set(written) == {
        "tests/test_other_env.py",
        *(f"src/maze/other_env/{name}.py" for name in ("__init__", "env", "ppo", "registration")),
        "src/maze/other_env/vectorization.toml",
    }


def test_readme_without_the_table_is_left_alone(project: Path, task: Task, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "README.md").write_text("# Maze\n")
    dispatch(task, ["add", "other-env"])
    assert (project / "README.md").read_text() == "# Maze\n"
    assert "README.md doesn't list it" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("class", "'class' can't name an environment; write a-z, 0-9"),
        ("Other", "'Other' can't name"),
        ("3d", "'3d' can't name"),
        ("other--env", "can't name"),
        ("../other", "can't name"),
        ("", "can't name"),
        ("maze", "'maze' is taken by the environment maze; choose another name"),
        ("train", "'train' is taken by src/maze/train.py"),
        ("rules", "'rules' is taken by tests/test_rules.py"),
        ("levels", "'levels' is taken by src/maze/levels"),
        ("second", "'second' is taken by the environment second"),
        ("sec-ond", "'sec-ond' is taken by the environment sec-ond"),
    ],
)
def test_bad_names_are_refused_and_leave_nothing(project: Path, task: Task, name: str, message: str) -> None:
    (project / "tests" / "test_rules.py").touch()
    (project / "src" / "maze" / "levels").mkdir()
    add_light(project, "second")
    add_light(project, "sec_ond")
    before = files(project)
    with pytest.raises(UsageError) as refused:
        dispatch(task, ["add", name])
    assert message in str(refused.value) and "\n" not in str(refused.value)
    assert files(project) == before


def test_what_was_written_goes_when_something_can_not_be(
    project: Path, task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, write = files(project), add.write_text

    def full(path: Path, text: str) -> None:
        if path.name == "registration.py":
            raise OSError(28, "No space left on device", str(path))
        write(path, text)

    monkeypatch.setattr(add, "write_text", full)
    with pytest.raises(RunError, match="registration.py can't be written: No space left on device"):
        dispatch(task, ["add", "other-env"])
    assert files(project) == before
    assert not (project / "src" / "maze" / "other_env").exists()


def test_env_chooses_the_task(project: Path, task: Task, capsys: pytest.CaptureFixture[str]) -> None:
    add_light(project, "other_env")
    for given, env_id in {(): "maze/Maze-v0", ("--env", "maze"): "maze/Maze-v0", ("--env=other-env",): POLICIES["second"],
                          ("--env", "other_env"): POLICIES["second"]}.items():  # fmt: skip
        dispatch(task, ["train", "--stop-return", "-1", *given, "--name", "x"])
        assert capsys.readouterr().out == f"--stop-return -1 --name x {env_id}\n"
    other = task_named("maze", "other-env")
    assert (task.home, other.home, other.package) == ("maze", "maze.other_env", "maze")
    assert other.target == "maze.other_env.registration:TASK.make"
    assert other.command("train") == "python -m maze train --env other-env"
    words = parse(other, ["--seed", "3"]).command(other.command("train"), {})
    assert words.startswith("python -m maze train --env other-env --seed 3 ")


def test_environments_are_not_imported_unless_asked_for(
    project: Path, task: Task, capsys: pytest.CaptureFixture[str]
) -> None:
    add_light(project, "broken", "import no_such_module\n")
    (project / "src" / "maze" / "levels").mkdir()
    assert names_of("maze") == ["maze", "broken"]
    assert dispatch(task, ["train"]) == 0
    dispatch(task, [])
    assert "--env NAME; there are maze, broken" in capsys.readouterr().out
    with pytest.raises(RunError, match=r"broken/registration.py:1: ModuleNotFoundError: No module named 'no_such_mod"):
        dispatch(task, ["check", "--env", "broken"])
    with pytest.raises(UsageError, match="there is no environment 'brokn'; did you mean 'broken'?"):
        dispatch(task, ["check", "--env", "brokn"])
    shutil.rmtree(project / "src" / "maze" / "broken")
    assert names_of("maze") == ["maze"]


def test_runs_are_those_of_the_environment_at_hand(project: Path, task: Task) -> None:
    add_light(project, "other_env")
    other = task_named("maze", "other-env")
    with pytest.raises(UsageError, match="there is no run in .* yet"):
        newest_run(other.env_id)
    make_runs(project)
    assert (newest_run(task.env_id).name, newest_run(other.env_id).name, newest_run().name) == (
        "third",
        "second",
        "third",
    )
    assert find_policy(None, other.env_id).parts[1] == "second"
    with pytest.raises(UsageError, match="no run 'secnd'; did you mean 'second'[?] The runs are: second$"):
        find_policy("secnd", other.env_id)
    with pytest.raises(UsageError, match="no run 'thrd'; did you mean 'third'[?] The runs are: third, first$"):
        find_policy("thrd", task.env_id)
    for one, name in ((task, "third"), (other, "second")):
        assert resolve_run(one, parse(one, ["--resume"]))[0].path == Path("runs", name)
    for arguments in (["--name", "first"], ["--name", "first", "--resume"]):
        with pytest.raises(
            UsageError, match="^runs/first is a run of maze/Maze-v0, not of maze/OtherEnv-v0: give its --"
        ):
            resolve_run(other, parse(other, arguments))
    shutil.rmtree(project / "runs" / "second")
    with pytest.raises(UsageError, match="there is no run of maze/OtherEnv-v0 in .*; start one with train"):
        resolve_run(other, parse(other, ["--resume"]))


def test_search_of_another_environment_is_not_gone_on_with(project: Path, task: Task) -> None:
    add_light(project, "other_env")
    folder = project / "runs" / "sweep"
    folder.mkdir(parents=True)
    space = parse_params(["lr=1e-4..1e-3:log"])
    Search(Trainer(task, folder, 100, Interrupt()), space, 2)
    with pytest.raises(UsageError, match="holds another search, by its values, seeds, steps or environment; choose an"):
        Search(Trainer(task_named("maze", "other-env"), folder, 100, Interrupt()), space, 2)


def test_failure_of_another_environment_is_not_replayed(project: Path, task: Task) -> None:
    (project / "failure.json").write_text('{"env_id": "maze/OtherEnv-v0"}')
    with pytest.raises(UsageError, match="failure.json is of maze/OtherEnv-v0, not of maze/Maze-v0"):
        dispatch(task, ["replay", "failure.json"])


def test_settings_are_each_environments_own(project: Path, task: Task) -> None:
    add_light(project, "other_env")
    task_named("maze", "other-env")
    (project / "vectorization.toml").touch()
    assert find_root("maze") == Path()
    assert find_root("maze.other_env") == Path("src/maze/other_env")
    toml = "[tool.maze.check]\nignore = {reward_changes = 'mine'}\n"
    toml += "[tool.maze.other_env.check]\nignore = {same_seed_same_episode = 'other'}\n"
    (project / "pyproject.toml").write_text(toml)
    assert ignored("maze") == {"reward_changes": "mine"}
    assert ignored("maze.other_env") == {"same_seed_same_episode": "other"}


@pytest.fixture(scope="module")
def two(corridor: BakedProject, tmp_path_factory: pytest.TempPathFactory) -> BakedProject:
    """The worked example beside which another environment was added, with the same rules."""
    project = corridor.copy(tmp_path_factory.mktemp("two"))
    before = project.files()
    project.command("add", "other-env", check=True)
    assert {name for name in project.files() - before if "__pycache__" not in name} == {
        "tests/test_other_env.py",
        *(f"src/corridor_demo/other_env/{name}.py" for name in ("__init__", "env", "ppo", "registration")),
        "src/corridor_demo/other_env/vectorization.toml",
    }
    return project


def fill_in(project: BakedProject) -> None:
    """Gives the added environment the rules of the worked example."""
    text = project.read("src/corridor_demo/env.py")
    text = text.replace("CorridorDemoEnv", "OtherEnv").replace("from .kit", "from ..kit")
    (project.source / "other_env" / "env.py").write_text(text, encoding="utf-8")


def test_added_environment_is_clean_tested_and_trained(two: BakedProject) -> None:
    """As the stub: to do, then filled in; the commands take it from there, and without --env nothing is seen of it."""
    for tool in (("ruff", "check"), ("ruff", "format", "--check"), ("mypy",)):
        two.run("-m", *tool, check=True)
    tests = two.run("-m", "pytest", "-q", "-rs", check=True).stdout
    assert re.search(r"to do: .*other_env/env.py:\d+: reset\(\) is still to be written", tests)
    fill_in(two)
    tests = two.run("-m", "pytest", "-v", "-k", "test_contract", check=True).stdout
    for added in ("", "other-env-"):
        assert f"test_contract[{added}same_seed_same_episode] PASSED" in tests
    two.run("-m", "corridor_demo.train", "--env", "other-env", "--name", "a", "--max-env-steps", "2000", check=True)
    summary = two.read("runs/a/config.json")
    assert '"env_id": "corridor_demo/OtherEnv-v0"' in summary
    report = json.loads(two.command("evaluate", "--env", "other-env", "--episodes", "2", "--json", check=True).stdout)
    assert report["checkpoint"] == "runs/a/checkpoints/best/policy"
    for command in (["evaluate"], ["train", "--resume"], ["export"]):
        done = two.command(*command)
        assert done.returncode == 2 and "there is no run of corridor_demo/CorridorDemo-v0" in done.stderr
    done = two.command("evaluate", "a")
    assert done.returncode == 2 and "is a policy for corridor_demo/OtherEnv-v0, not for" in done.stderr
    code = "import corridor_demo, corridor_demo.other_env as o; print(o.load_policy().facts['run'], o.ENV_ID)"
    assert two.run("-c", code, check=True).stdout == "a corridor_demo/OtherEnv-v0\n"
    done = two.run("-c", "import corridor_demo; corridor_demo.load_policy()")
    assert "there is no run of corridor_demo/CorridorDemo-v0" in done.stderr


def test_renaming_it_as_the_readme_says_works(two: BakedProject) -> None:
    """The three lines of the README, done by a script: what each names is replaced in all files but the kit's."""
    fill_in(two)
    section = two.read("README.md").split("Another environment is renamed likewise:\n")[1].split("\n\n")[0]
    (name, env_id), (module,), (said,) = (
        [word for word in re.findall(r"`(.*?)`", line) if not word.startswith(("src/", "--"))]
        for line in section.splitlines()
    )
    assert (name, env_id, module, said) == ("OtherEnv", "corridor_demo/OtherEnv-v0", "other_env", "other-env")
    new = {env_id: "corridor_demo/Harder-v1", name: "HarderEnv", module: "harder", said: "harder"}
    for path in (path for path in two.path.rglob("*.*") if not {"kit", ".venv", "runs"} & set(path.parts)):
        if path.suffix in (".py", ".md", ".toml"):
            text = path.read_text(encoding="utf-8")
            for old, word in new.items():
                text = text.replace(old, word)
            path.write_text(text, encoding="utf-8")
    (two.source / module).rename(two.source / "harder")
    (two.path / "tests" / f"test_{module}.py").rename(two.path / "tests" / "test_harder.py")
    tests = two.run("-m", "pytest", "-v", check=True).stdout
    assert "tests/test_harder.py::" in tests and "test_contract[harder-same_seed_same_episode] PASSED" in tests
    code = "import gymnasium as gym; print(gym.make('corridor_demo.harder:corridor_demo/Harder-v1').unwrapped)"
    assert "HarderEnv" in two.run("-c", code, check=True).stdout
    assert "| `corridor_demo/Harder-v1` | `src/corridor_demo/harder/env.py` | `--env harder` |" in two.read("README.md")
