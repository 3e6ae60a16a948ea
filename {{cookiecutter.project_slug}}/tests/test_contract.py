"""The contract: every check is one test, named after it. The same as `python -m {{cookiecutter.__package_name}}.check`."""

import warnings
from functools import cache

import pytest

from {{cookiecutter.__package_name}} import TASK
from {{cookiecutter.__package_name}}.kit.contract import Report, checks_of
from {{cookiecutter.__package_name}}.kit.tasks import names_of, task_named

OWN, *ADDED = names_of(TASK.package)  # environments of the project: the first, and what `add` has added
TASKS = {env: task_named(TASK.package, env) for env in (OWN, *ADDED)}
CASES = [
    pytest.param(env, name, id=name if env == OWN else f"{env}-{name}")
    for env, task in TASKS.items()
    for name in checks_of(task.is_multi_agent)
]


@cache
def report_of(env: str) -> Report:
    """Runs all checks, once on each environment."""
    return TASKS[env].check()


@pytest.mark.parametrize(("env", "name"), CASES)
def test_contract(env: str, name: str) -> None:
    report = report_of(env)
    if name in report.ignored:
        pytest.skip(f"ignored: {report.ignored[name]}")
    if report.todo is not None and (name == "implemented" or name in report.skipped):
        pytest.skip(f"to do: {report.todo}")
    if name in report.skipped:
        assert "itself failed" not in report.skipped[name], report.skipped[name]
        pytest.skip(f"not judged: {report.skipped[name]}")
    for failure in report.failures:
        text = f"{failure.message}\nwhere: {failure.where}\nfix: {failure.fix}"
        if failure.check == name and failure.severity == "warning":
            warnings.warn(f"{name}: {text}", stacklevel=1)
        elif failure.check == name:
            pytest.fail(f"{name}: {text}", pytrace=False)
