"""The contract: every check is one test, named after it. The same as `python -m {{cookiecutter.__package_name}}.check`."""

import warnings
from functools import cache

import pytest

from {{cookiecutter.__package_name}} import TASK
from {{cookiecutter.__package_name}}.kit.contract import Report, checks_of
from {{cookiecutter.__package_name}}.kit.tasks import names_of, task_named


OWN, *ADDED = names_of(TASK.package)  # environments of the project: the first, and what `add` has added


ENVIRONMENTS = {name: task_named(TASK.package, name) for name in names_of(TASK.package)}
CASES = [(env, name) for env, task in ENVIRONMENTS.items() for name in checks_of(task.is_multi_agent)]


@cache
def report_of(env: str) -> Report:
    """Runs all checks, once on each environment of the project."""
    return ENVIRONMENTS[env].check()


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
