"""The contract: every check is one test, named after it. The same as `python -m {{cookiecutter.__package_name}}.check`."""

import warnings

import pytest

from {{cookiecutter.__package_name}} import TASK
from {{cookiecutter.__package_name}}.kit.contract import Report, checks_of
from {{cookiecutter.__package_name}}.kit.tasks import names_of, task_named

OWN, *ADDED = names_of(TASK.package)  # environments of the project: the first, and what `add` has added
CHECKS = dict.fromkeys(
    check for name in (OWN, *ADDED) for check in checks_of(task_named(TASK.package, name).is_multi_agent)
)


@pytest.fixture(scope="module")
def report(request: pytest.FixtureRequest) -> Report:
    """All checks, run once on each environment."""
    return task_named(TASK.package, request.param).check()


@pytest.mark.parametrize("report", [pytest.param(OWN, id=pytest.HIDDEN_PARAM), *ADDED], indirect=True, scope="module")
@pytest.mark.parametrize("name", CHECKS)
def test_contract(name: str, report: Report) -> None:
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
