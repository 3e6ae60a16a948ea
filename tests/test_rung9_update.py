"""Rung 9: `update` brings a project to another version of its template, and leaves alone what its user has written."""

import filecmp
import itertools
import json
import os
import re
import runpy
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from conftest import PACKAGE, TEMPLATE, clean_environment
from jinja2 import Environment
from kit.commands import add, update
from kit.contract.manifest import NAME, manifest
from kit.errors import RunError, UsageError
from kit.updating.merge import YOURS, Plan
from kit.updating.swap import clean_up, prepare, swap
from kit.updating.template import as_text, fetch, renderer

PROJECT = "{{cookiecutter.project_slug}}"
KIT = f"{PROJECT}/src/{{{{cookiecutter.__package_name}}}}/kit"
VERSION = (PACKAGE / "kit" / "VERSION").read_text(encoding="utf-8").strip()
# No network: git may open files only, and whatever else asks for an address finds nobody.
OFFLINE = {"GIT_ALLOW_PROTOCOL": "file", "HTTPS_PROXY": "http://127.0.0.1:9", "HTTP_PROXY": "http://127.0.0.1:9"}
USER = ("-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false")


def git(folder: Path, *arguments: str) -> str:
    """Runs git as a user of a name, and returns what it prints."""
    line = ["git", "-C", str(folder), *USER, *arguments]
    return subprocess.run(line, capture_output=True, text=True, check=True).stdout


def commit(folder: Path) -> None:
    """Commits all that is in a folder."""
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--allow-empty", "--message", "as it is")


def edit(path: Path, old: str, new: str) -> None:
    """Replaces text that is in a file."""
    text = path.read_text(encoding="utf-8")
    assert old in text, f"{path} has no {old!r}"
    path.write_text(text.replace(old, new), encoding="utf-8")


def bake(template: Path, folder: Path, **answers: str) -> Path:
    """Bakes another template than this one, which is why it takes a process of its own."""
    line = [sys.executable, "-m", "cookiecutter", str(template), "--no-input", "--output-dir", str(folder)]
    pairs = [f"{name}={as_text(value)}" for name, value in answers.items()]
    environment = clean_environment() | {"HOME": str(folder / "home"), "PYTHONDONTWRITEBYTECODE": "1"}
    subprocess.run([*line, *pairs], cwd=template, check=True, capture_output=True, env=environment)
    (project,) = [path for path in folder.iterdir() if path.name != "home"]
    return project


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone of this template, tagged, and a commit further in all ways that matter to `update`."""
    path = tmp_path_factory.mktemp("origin") / "template"
    ignored = shutil.ignore_patterns(".git", ".venv", "build", "__pycache__", ".*_cache", ".hypothesis", "benchmarks")
    shutil.copytree(TEMPLATE, path, ignore=ignored)
    git(path, "init", "--quiet")
    commit(path)
    git(path, "tag", f"v{VERSION}")
    project, package = path / PROJECT, (path / KIT).parent
    edit(project / "Makefile", "lint: setup", "lint: setup test")
    edit(project / "README.md", "## Questions", "## Answers")
    edit(project / "tests" / "test_training.py", '"4000", "--stop-return"', '"6000", "--stop-return"')
    edit(project / "pyproject.toml", '"scipy>=1.11"', '"scipy>=1.12"')
    edit(package / "registration.py", "import gymnasium as gym", "import gymnasium as gym  # newer")
    edit(package / "ppo.py", "gamma=0.99", "gamma=0.98")
    edit(
        package / "kit" / "stub" / "registration.py.txt", "import gymnasium as gym", "import gymnasium as gym  # newer"
    )
    edit(
        project / "starters" / "stub" / "src" / package.name / "env.py", "import numpy as np", "import numpy as np  # !"
    )
    (project / "cluster" / "kuberay.yaml").unlink()
    (project / "cluster" / "slurm.sh").write_text("srun {{ cookiecutter.__package_name }}\n")
    (package / "kit" / "newer.py").touch()
    (package / "kit" / "external" / "PROTOCOL.md").unlink()
    (package / "kit" / "VERSION").write_text("9.9.9\n")
    (package / "kit" / NAME).write_text(manifest(package / "kit"))
    commit(path)
    return path


@pytest.fixture(scope="module")
def older(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone of the template as it was when it was tagged."""
    path = tmp_path_factory.mktemp("older") / "template"
    git(path.parent, "clone", "--quiet", "--branch", f"v{VERSION}", str(template), str(path))
    return path


@pytest.fixture(scope="module")
def made(older: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project of the tagged template, in Git."""
    path = bake(older, tmp_path_factory.mktemp("made"), project_name="Maze", description='"{{ 1 }}" {% raw %} é')
    git(path, "init", "--quiet")
    commit(path)
    return path


@pytest.fixture
def project(made: Path, tmp_path: Path) -> Path:
    """A copy of that project, to do with as one likes."""
    return Path(shutil.copytree(made, tmp_path / "maze"))


def run_update(project: Path, *arguments: str, package: str = "maze") -> int:
    """Runs the command in this process, which imports nothing of the project."""
    module = ModuleType(package)
    module.__file__ = str(project / "src" / package / "__init__.py")
    task: Any = SimpleNamespace(package=package)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, package, module)
        return update.main(task, arguments)


def as_command(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs the project's own command, without a network."""
    environment = clean_environment() | OFFLINE | {"PYTHONPATH": str(project / "src")}
    line = [sys.executable, "-m", "maze", "update", *arguments]
    return subprocess.run(line, cwd=project, env=environment, capture_output=True, text=True, timeout=120)


def differences(left: Path, right: Path) -> list[str]:
    """Returns the files that two folders don't have alike, byte by byte; caches and Git's own don't count."""
    files = [
        {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file() and path.suffix != ".pyc"}
        for root in (left, right)
    ]
    alike = [name for name in files[0] & files[1] if filecmp.cmp(left / name, right / name, shallow=False)]
    return sorted(name for name in (files[0] | files[1]) - set(alike) if not name.startswith(".git/"))


def test_untouched_project_becomes_what_is_baked_today(project: Path, template: Path, tmp_path: Path) -> None:
    check = as_command(project, str(template), "--check")
    old, new = (git(template, "rev-parse", "--short=9", name).strip() for name in (f"v{VERSION}", "HEAD"))
    assert check.returncode == 1 and check.stdout == f"{VERSION} ({old}) -> 9.9.9 ({new})\n", check.stderr
    assert git(project, "status", "--porcelain") == ""
    done = as_command(project, str(template))
    assert done.returncode == 0, done.stderr
    answers = json.loads((project / ".template.json").read_text(encoding="utf-8"))["answers"]
    fresh = bake(template, tmp_path / "fresh", **answers)
    assert differences(project, fresh) == []
    assert "9.9.9" in (project / "src/maze/kit/VERSION").read_text()
    commit(project)
    again = as_command(project, str(template), "--check")
    assert again.returncode == 0 and again.stdout == f"up to date: 9.9.9 ({new})\n", again.stderr


@pytest.mark.slow
def test_untouched_project_of_each_release_becomes_what_is_baked_today(tmp_path: Path) -> None:
    if not (TEMPLATE / ".git").exists() or not (tags := git(TEMPLATE, "tag", "--list", "v*").split()):
        pytest.skip("no release is tagged here")
    newest = tmp_path / "newest"
    git(tmp_path, "clone", "--quiet", str(TEMPLATE), str(newest))
    fresh = bake(newest, tmp_path / "fresh", project_name="Maze")
    for tag in tags:
        git(tmp_path, "clone", "--quiet", "--branch", tag, str(TEMPLATE), str(tmp_path / tag))
        project = bake(tmp_path / tag, tmp_path / f"made-{tag}", project_name="Maze")
        git(project, "init", "--quiet")
        commit(project)
        assert run_update(project, str(newest)) == 0
        assert differences(project, fresh) == [], tag


def test_project_names_no_path_of_this_machine(made: Path, older: Path) -> None:
    """Neither where the template lies, nor a folder that it was cloned from."""
    text = (made / ".template.json").read_text(encoding="utf-8")
    assert (
        json.loads(text)["template"] is None and json.loads(text)["commit"] == git(older, "rev-parse", "HEAD").strip()
    )
    for path in (older, made, Path.home(), Path(sys.executable).parent):
        assert str(path) not in text


@pytest.mark.parametrize(
    ("origin", "recorded"),
    [
        ("https://someone:secret@example.org/a/template.git", "https://example.org/a/template.git"),
        ("git@example.org:a/template.git", "git@example.org:a/template.git"),
        ("/home/someone/template", ""),
        ("file:///home/someone/template", ""),
        (r"C:\Users\someone\template", ""),
    ],
)
def test_what_is_recorded_of_an_origin_is_an_address_without_secrets(older: Path, origin: str, recorded: str) -> None:
    code = "import local_extensions as l; print(l.template_url(), l.template_commit())"
    environment = os.environ | {
        "PYTHONDONTWRITEBYTECODE": "1",
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "remote.origin.url",
        "GIT_CONFIG_VALUE_0": origin,
    }
    line = [sys.executable, "-c", code]
    printed = subprocess.run(line, cwd=older, env=environment, capture_output=True, text=True, check=True).stdout
    assert printed == f"{recorded} {git(older, 'rev-parse', 'HEAD')}"


@pytest.fixture(scope="module")
def updated(made: Path, template: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int, str]:
    """A project that was worked on and then updated, the exit code, and what was printed."""
    path = Path(shutil.copytree(made, tmp_path_factory.mktemp("updated") / "maze"))
    edit(path / "src/maze/env.py", "raise NotImplementedError", "return  #")
    edit(path / "src/maze/ppo.py", "lr=3e-4", "lr=1e-4")
    edit(path / "README.md", "## Commands", "## My commands")
    edit(path / "vectorization.toml", 'num_env_runners = "auto"', "num_env_runners = 2")
    edit(path / "pyproject.toml", "[tool.ruff]", '[tool.maze.check]\nignore = { seeds = "mine" }\n\n[tool.ruff]')
    edit(path / "tests/test_training.py", '"4000", "--stop-return"', '"5000", "--stop-return"')
    edit(path / "cluster/kuberay.yaml", "apiVersion", "# mine\napiVersion")
    edit(path / "src/maze/kit/config.py", '"""', '"""Mine. ')
    (path / "src/maze/kit/mine.py").write_text("MINE = 1\n")
    (path / "Makefile").unlink()
    (path / "src/maze/train.py").write_bytes((path / "src/maze/train.py").read_bytes().replace(b"\n", b"\r\n"))
    (path / "mine.txt").write_text("mine\n")
    names = add.names_for("maze", "other-env")
    for place, text in add.files_of(names, path).items():
        place.parent.mkdir(exist_ok=True)
        place.write_text(text, encoding="utf-8")
    edit(path / "src/maze/other_env/registration.py", "TASK.register()", "TASK.register()  # mine")
    commit(path)
    with pytest.MonkeyPatch.context() as patch:
        printed: list[str] = []
        patch.setattr("builtins.print", lambda *values: printed.append(" ".join(map(str, values))))
        code = run_update(path, str(template))
    return path, code, "\n".join(printed)


def changed(project: Path) -> set[str]:
    """Returns the files that differ from the last commit."""
    return {line[3:] for line in git(project, "status", "--porcelain", "--untracked-files=all").splitlines()}


def test_what_is_the_users_stays(updated: tuple[Path, int, str]) -> None:
    path, _, printed = updated
    mine = {"src/maze/env.py", "src/maze/ppo.py", "README.md", "vectorization.toml", "mine.txt", "tests/test_env.py"}
    added = {"src/maze/other_env/env.py", "src/maze/other_env/ppo.py", "tests/test_other_env.py"}
    assert not changed(path) & (mine | added | {"cluster/kuberay.yaml", "Makefile", "src/maze/train.py"})
    assert not (path / "Makefile").exists(), "what was deleted stays deleted"
    kept = re.findall(r"(?m)^(\S+): stays as you have it", printed)
    assert kept == ["README.md", "cluster/kuberay.yaml", "src/maze/env.py", "src/maze/ppo.py"]
    assert "cluster/kuberay.yaml: stays as you have it; the template's is gone" in printed
    (command,) = re.findall(r"ppo\.py: stays as you have it; the template's has changed: git (diff .*)", printed)
    assert "\n+        gamma=0.98" in git(path, *command.split())


def test_edits_are_merged_and_conflicts_are_marked_listed_and_told(updated: tuple[Path, int, str]) -> None:
    root, code, printed = updated
    assert code == 1
    project_file = (root / "pyproject.toml").read_text(encoding="utf-8")
    assert '"scipy>=1.12"' in project_file and "[tool.maze.check]" in project_file and "<<<" not in project_file
    conflicts = re.findall(r"(?m)^(\S+): CONFLICT", printed)
    marked = [
        path.relative_to(root).as_posix()
        for path in root.rglob("*.*")
        if path.is_file() and b"<<<<<<< yours" in path.read_bytes()
    ]
    assert conflicts == ["tests/test_training.py"] == marked
    text = (root / "tests/test_training.py").read_text(encoding="utf-8")
    assert '"5000", "--stop-return"' in text and '"6000", "--stop-return"' in text


def test_kit_is_replaced_whole_and_edits_of_it_are_kept_aside(updated: tuple[Path, int, str], template: Path) -> None:
    path, _, printed = updated
    assert differences(path / "src/maze/kit", template / KIT) == []
    assert (path / "kit-edited/config.py").read_text(encoding="utf-8").startswith('"""Mine. ')
    assert (path / "kit-edited/mine.py").read_text() == "MINE = 1\n"
    assert {name for name in changed(path) if name.startswith("kit-edited")} == {
        "kit-edited/config.py",
        "kit-edited/mine.py",
    }
    assert "kit-edited/config.py" in printed


def test_files_come_and_added_environments_follow(updated: tuple[Path, int, str]) -> None:
    path, _, _ = updated
    assert (path / "cluster/slurm.sh").read_text() == "srun maze\n"
    registration = (path / "src/maze/other_env/registration.py").read_text(encoding="utf-8")
    assert "gym  # newer" in registration and "TASK.register()  # mine" in registration and "<<<" not in registration
    assert not (path / ".update").exists() and not (path / "src/maze/kit.py").exists()


def test_renamed_package_is_updated_under_its_new_name(project: Path, template: Path, tmp_path: Path) -> None:
    for path in [
        *project.glob("*.toml"),
        *project.glob("tests/*.py"),
        *project.glob("src/maze/*.py"),
        project / "README.md",
    ]:
        path.write_text(path.read_text(encoding="utf-8").replace("maze", "labyrinth"), encoding="utf-8")
    (project / "src/maze").rename(project / "src/labyrinth")
    commit(project)
    assert run_update(project, str(template), package="labyrinth") == 0
    assert not (project / "src/maze").exists()
    changes = changed(project)
    assert {"src/labyrinth/registration.py", "pyproject.toml", "cluster/slurm.sh"} <= changes
    assert not {"src/labyrinth/__init__.py", "tests/test_contract.py"} & changes
    assert "labyrinth/Maze-v0" in (project / "src/labyrinth/registration.py").read_text(encoding="utf-8")
    assert (project / "cluster/slurm.sh").read_text() == "srun labyrinth\n"
    commit(project)
    assert run_update(project, str(template), "--check", package="labyrinth") == 0


def test_without_the_old_version_what_is_pristine_is_replaced_and_the_rest_conflicts(
    project: Path, template: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A folder that is no clone has one version only."""
    folder = Path(shutil.copytree(template, tmp_path / "unpacked", ignore=shutil.ignore_patterns(".git")))
    edit(project / "tests/test_training.py", "import json", "import json  # mine")
    commit(project)
    assert run_update(project, str(folder)) == 1
    printed = capsys.readouterr().out
    assert "has no tag of the version that this project is made of" in printed
    assert re.findall(r"(?m)^(\S+): CONFLICT", printed) == ["tests/test_training.py"]
    assert "setup test" in (project / "Makefile").read_text() and "import json  # mine" in (
        project / "tests/test_training.py"
    ).read_text(encoding="utf-8")


def uncommitted(project: Path) -> None:
    (project / "mine.txt").touch()


def no_git(project: Path) -> None:
    shutil.rmtree(project / ".git")


def kept_by_cruft(project: Path) -> None:
    (project / ".cruft.json").touch()


def no_manifest(project: Path) -> None:
    (project / ".template.json").unlink()


def damaged_manifest(project: Path) -> None:
    (project / ".template.json").write_text('{"version": "1"}')


def other_answer(project: Path) -> None:
    edit(project / ".template.json", '"starter": "stub"', '"starter": "maze"')
    commit(project)


@pytest.mark.parametrize(
    ("spoil", "source", "message"),
    [
        (uncommitted, "{template}", r"not all is committed \(\?\? mine.txt\): git commit, or git stash -u"),
        (no_git, "{template}", "isn't in Git, the way back: git init"),
        (kept_by_cruft, "{template}", "cruft keeps this project: go on with `cruft update`, or remove"),
        (no_manifest, "{template}", ".template.json is missing, .* bake it anew"),
        (damaged_manifest, "{template}", "lacks answers, commit, files, kit, template"),
        (other_answer, "{template}", "can't be baked .*: .*maze provided for choice variable starter"),
        (None, None, "say where the template is: python -m maze update gh:<org>/cookiecutter-rllib-env, or its folder"),
        (None, "{project}", "maze is no template: it has no cookiecutter.json"),
        (None, "{project}/nowhere", "nowhere can't be cloned: .*does not exist"),
    ],
)
def test_what_cannot_be_updated_is_told_in_a_line_and_stays(
    project: Path, template: Path, spoil: Callable[[Path], None] | None, source: str | None, message: str
) -> None:
    if spoil is not None:
        spoil(project)
    before = snapshot(project)
    arguments = [source.format(template=template, project=project)] if source else []
    with pytest.raises(UsageError, match=message) as error:
        run_update(project, *arguments)
    assert "\n" not in str(error.value)
    assert snapshot(project) == before


def test_clone_that_is_older_or_knows_nothing_of_the_project_is_refused(
    project: Path, template: Path, tmp_path: Path
) -> None:
    older = tmp_path / "older"
    git(tmp_path, "clone", "--quiet", "--single-branch", "--branch", f"v{VERSION}", template.as_uri(), str(older))
    edit(
        project / ".template.json", git(older, "rev-parse", "HEAD").strip(), git(template, "rev-parse", "HEAD").strip()
    )
    edit(project / ".template.json", f'"version": "{VERSION}"', '"version": "9.9.9"')
    with pytest.raises(UsageError, match="has neither commit .* nor tag v9.9.9, .* pull it"):
        run_update(project, str(older), "--check")
    git(older, "fetch", "--quiet", "origin", "HEAD")
    with pytest.raises(UsageError, match="is older than what this project is made of; pull it"):
        run_update(project, str(older), "--check")


def snapshot(root: Path) -> dict[str, bytes]:
    """Returns what is in each file of a folder, but for Git's own."""
    files = [path for path in root.rglob("*") if path.is_file() and ".git" not in path.parts]
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in files}


def test_gh_addresses_are_githubs(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Git is told that the organisation's repositories lie in a folder here."""
    for name, value in {
        "COUNT": "1",
        "KEY_0": f"url.{template.parent}/.insteadOf",
        "VALUE_0": "https://github.com/org/",
    }.items():
        monkeypatch.setenv(f"GIT_CONFIG_{name}", value)
    git(template.parent, "clone", "--quiet", "--bare", "template", "template.git")
    clone = fetch("gh:org/template", tmp_path)
    assert git(clone, "config", "remote.origin.url").strip() == "https://github.com/org/template.git"
    assert git(clone, "rev-parse", f"v{VERSION}", "HEAD") == git(template, "rev-parse", f"v{VERSION}", "HEAD")


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A project of few files, with everything put beside it that a swap of them needs."""
    root = tmp_path / "small"
    package = root / "src" / "maze"
    (package / "kit").mkdir(parents=True)
    for name in ("__init__.py", "kit/__init__.py", "kit/gone.py", "removed.py"):
        (package / name).write_text("from .kit import part\n" if name == "__init__.py" else "old = part = 1\n")
    new = prepare(root)
    (new / "kit").mkdir()
    (new / "kit" / "__init__.py").write_text("new = part = 2\n")
    for place in PLACES[:2]:
        (new / place).parent.mkdir(parents=True, exist_ok=True)
        (new / place).write_text("from .kit import part  # new\n")
    return root


PLACES = ("src/maze/__init__.py", "docs/created.md", "src/maze/removed.py")


def die_at(event: int, action: Callable[[], None]) -> bool:
    """Does something in a process that is killed before it touches the disk for the nth time; tells whether it was."""
    child = os.fork()
    if child == 0:
        events = 0

        def count(name: str, _: Any) -> None:
            nonlocal events
            events += name.partition(".")[0] in ("open", "os", "shutil")
            if events == event:
                os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(count)
        action()
        os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills processes as POSIX does")
def test_killed_at_any_moment_it_leaves_all_old_or_all_new(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also if what brings the old state back is killed at any moment; then it is brought back the next time."""
    monkeypatch.setattr("time.sleep", lambda _: None)
    copies = (small.with_name(f"copy{n}") for n in itertools.count())
    old = {name: text for name, text in snapshot(small).items() if not name.startswith(".update")}
    states, undone = [], 0
    for event in itertools.count(1):
        root = Path(shutil.copytree(small, next(copies)))
        kit = root / "src/maze/kit"
        was_killed = die_at(event, lambda root=root, kit=kit: swap(root, kit, PLACES))  # type: ignore[misc]
        for undo_event in itertools.count(1) if was_killed and not kit.is_dir() and event % 5 == 0 else ():
            again = Path(shutil.copytree(root, next(copies)))
            shim = again / "src/maze/kit.py"
            was_undone = not die_at(undo_event, lambda shim=shim: undo_by(shim))  # type: ignore[misc]
            assert after_next_use(again) == old
            undone += 1
            if was_undone:
                break
        states.append(after_next_use(root))
        if not was_killed:
            break
    new = states[-1]
    assert set(new) == {"src/maze/__init__.py", "src/maze/kit/__init__.py", "docs/created.md"}
    assert new["src/maze/kit/__init__.py"] == b"new = part = 2\n"
    assert states == [old] * states.count(old) + [new] * states.count(new)
    assert states.count(old) > 10 and states.count(new) > 2 and undone > 10


def undo_by(shim: Path) -> None:
    """Imports what stands in for the kit, as the next command does."""
    with suppress(SystemExit):
        runpy.run_path(str(shim), run_name="maze.kit")


def after_next_use(root: Path) -> dict[str, bytes]:
    """Returns the files of a project after its next command, and the beginning of its next update."""
    kit = root / "src/maze/kit"
    if not kit.is_dir():
        undo_by(kit.with_suffix(".py"))
    clean_up(root, kit)
    return snapshot(root)


def test_next_command_after_a_kill_says_what_has_happened(small: Path) -> None:
    kit = small / "src/maze/kit"
    shutil.copyfile(PACKAGE / "kit/updating/swap.py", kit.with_suffix(".py"))  # as `swap` begins
    (small / ".update/created.json").write_text("[]")
    kit.rename(small / ".update/old/kit")
    line = [sys.executable, "-c", "import maze"]
    environment = clean_environment() | {"PYTHONPATH": str(small / "src")}
    done = subprocess.run(line, env=environment, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == "an update was interrupted, and the project is as it was before it: type the command again\n"
    assert subprocess.run(line, env=environment).returncode == 0


def test_what_cannot_be_written_is_told_and_undone(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def replace(old: Path, new: Path) -> None:
        if new.name == "created.md":
            raise PermissionError(13, "in use", str(new))
        shutil.move(old, new)

    clean_up(small, small / "src/maze/kit")
    before = snapshot(small)
    monkeypatch.setattr("os.replace", replace)
    plan = Plan(new={"src/maze/__init__.py": b"new", "docs/created.md": b"new", "src/maze/removed.py": None})
    with pytest.raises(RunError, match="in use.*created.md.*; all is as it was"):
        update.write(small, small, "maze", plan)
    assert snapshot(small) == before


def test_pages_of_a_starter_are_its_users() -> None:
    """But for registration.py, where the kit may need something else one day."""
    for path in (TEMPLATE / PROJECT / "starters").rglob("*"):
        if path.is_file() and path.suffix != ".pyc":
            assert path.name in YOURS | {"registration.py"}, path


@pytest.mark.parametrize("answer", ["plain", "{{ 1 }} {% raw %} {# no #}", "a \"quoted\" \\n '{'", "{é \U0001f600"])
def test_answers_come_through_jinja_as_they_are(answer: str) -> None:
    assert Environment().from_string(as_text(answer)).render() == answer


def test_without_cookiecutter_a_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kit.updating.template.find_spec", lambda _: None)
    monkeypatch.setattr("shutil.which", {"uvx": "/bin/uvx"}.get)
    assert renderer() == ["uvx", "cookiecutter"]
    monkeypatch.setattr("shutil.which", lambda _: None)
    with pytest.raises(UsageError, match="pip install cookiecutter"):
        renderer()
