"""What holds for every test: a seed that is printed, no deadline on a shared machine, and no silent skipping."""

import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

# A test machine has neighbours; a slow example is no wrong one. The seed comes from the command line.
settings.register_profile(
    "tongban",
    deadline=None,
    print_blob=True,
    derandomize=bool(os.environ.get("TONGBAN_SAME_CASES")),
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("tongban")

_not_run: list[str] = []


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.skipped or hasattr(report, "wasxfail"):
        _not_run.append(report.nodeid)


def pytest_collectreport(report: pytest.CollectReport) -> None:
    if report.skipped:
        _not_run.append(report.nodeid)


@pytest.hookimpl(wrapper=True)
def pytest_sessionfinish(session: pytest.Session) -> Iterator[None]:
    """A skipped test counts as failed: a green run with a hole in it is read as a green run."""
    yield
    if _not_run and session.exitstatus == pytest.ExitCode.OK and not os.environ.get("TONGBAN_ALLOW_SKIPS"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if _not_run and not os.environ.get("TONGBAN_ALLOW_SKIPS"):
        terminalreporter.section("not run, which fails the session (TONGBAN_ALLOW_SKIPS=1 allows it)")
        for name in sorted(set(_not_run)):
            terminalreporter.line(name)
