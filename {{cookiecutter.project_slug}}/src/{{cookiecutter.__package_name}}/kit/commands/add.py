"""Puts another environment into the project: its folder, its test, and a line in the README."""

import keyword
import os
import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from string import Template

from ..cli import Parser
from ..errors import RunError, UsageError
from ..files import write_text
from ..task import Task
from ..tasks import names_of, root_of

STUB = Path(__file__).parents[1] / "stub"
TABLE = "| environment | where | its commands |\n|---|---|---|\n"  # in the README; the rows follow


def main(task: Task, arguments: Sequence[str] | None = None) -> int:
    """Writes the files, says what is next, and returns the exit code.

    Raises:
        UsageError: the name can't be used; nothing is written.
        RunError: a file can't be written; those that were are removed.
    """
    command = f"python -m {task.package} add"
    parser = Parser(prog=command, description=__doc__, epilog=f"example: {command} other-env")
    parser.add_argument("name", help="lower-case letters, digits and hyphens")
    package, name = task.package, parser.parse_args(arguments).name
    root = root_of(package)
    folder = root / "src" / package
    names = names_for(package, name)
    texts = files_of(names, root)
    check_free(package, names, [folder / names["module"], folder / f"{names['module']}.py", *texts])
    try:
        for path, text in texts.items():
            path.parent.mkdir(exist_ok=True)
            write_text(path, text)
        listed = list_in_readme(root / "README.md", names)
    except OSError as error:
        for path in texts:
            path.unlink(missing_ok=True)
        with suppress(OSError):
            (folder / names["module"]).rmdir()
        raise RunError(f"{error.filename} can't be written: {error.strerror}") from None
    print("\n".join(f"{path.relative_to(root)}" for path in texts))
    print("README.md lists it" if listed else f"README.md doesn't list it: no table begins with\n{TABLE}")
    own = folder.relative_to(root) / names["module"] / "env.py"
    print(f"edit {own}, then: python -m {package} train --env {names['name']}")
    return 0


def names_for(package: str, name: str) -> dict[str, str]:
    """Returns all names that follow from one, as the template makes them of a project's.

    Raises:
        UsageError: it can't name a package.
    """
    module, env_name = name.replace("-", "_"), env_name_of(name)
    if not re.fullmatch(r"[a-z][a-z0-9]*([-_][a-z0-9]+)*", name) or keyword.iskeyword(module):
        raise UsageError(f"{name!r} can't name an environment; write a-z, 0-9 and single hyphens, such as other-env")
    class_name = env_name if env_name.endswith(("Env", "Environment")) else f"{env_name}Env"
    shown = module.replace("_", "-")
    return {"package": package, "name": shown, "module": module, "env_name": env_name, "class_name": class_name}


def env_name_of(name: str) -> str:
    """Returns what stands in the environment's id: OtherEnv for other-env."""
    return re.sub("[-_]", " ", name).title().replace(" ", "")


def files_of(names: dict[str, str], root: Path, stub: Path = STUB) -> dict[Path, str]:
    """Returns the text of each file of the environment.

    Args:
        names: as of `names_for`.
        root: of the project.
        stub: the folder of the texts.
    """
    folder, texts = root / "src" / names["package"] / names["module"], {}
    for path in sorted(stub.iterdir()):
        place = root / "tests" / f"test_{names['module']}.py" if path.stem == "test_env.py" else folder / path.stem
        texts[place] = Template(path.read_text(encoding="utf-8")).substitute(names)
    return texts


def check_free(package: str, names: dict[str, str], paths: Sequence[Path]) -> None:
    """Raises UsageError where something has the name, or names another environment alike."""
    same = [one for one in names_of(package) if env_name_of(one) == names["env_name"]]
    there = [os.path.relpath(path) for path in paths if path.exists()]
    if taken := [f"the environment {one}" for one in same] + there:
        raise UsageError(f"{names['name']!r} is taken by {taken[0]}; choose another name")


def list_in_readme(readme: Path, names: dict[str, str]) -> bool:
    """Adds a row to the README's table of environments; tells whether there is one."""
    text = readme.read_text(encoding="utf-8") if readme.is_file() else ""
    where = f"`src/{names['package']}/{names['module']}/env.py`"
    row = f"| `{names['package']}/{names['env_name']}-v0` | {where} | `--env {names['name']}` |\n"
    text, count = re.subn(rf"{re.escape(TABLE)}(\|.*\n)*", lambda rows: rows[0] + row, text)
    if count:
        write_text(readme, text)
    return count > 0
