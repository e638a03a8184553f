"""Marks of tests: what a test starts, and that it says so.

A test that takes a fixture of a server is marked `server` here; everything else is marked where it is written. A test
that starts a process or takes a port without its mark fails: so `make test-fast` starts none. Of an engine's contract,
`make test` runs a case of each kind on Spark (`every_engine`), and `make soak` the rest of the matrix.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

SERVER_FIXTURES = frozenset(
    {
        "postgres_url",
        "moto_url",
        "server_url",
        "kafka_broker",
        "noida_broker",
        "tansu_broker",
        "redis_servers",
        "mlflow_process",
    }
)
_NEEDED = {
    "subprocess.Popen": ("process", "server", "spark", "browser"),
    "socket.bind": ("process", "server", "spark", "browser"),
}
# How Python itself learns of its machine, once a process.
_INNOCENT = (["uname", "-p"],)
_running: list[pytest.Item] = []
_found: dict[str, str] = {}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests by the servers that their fixtures start, and most cases of an engine that takes seconds as soak."""
    for item in items:
        if SERVER_FIXTURES & set(getattr(item, "fixturenames", ())):
            item.add_marker("server")
    on_spark = [item for item in items if _parameters(item).get("interaction_engine") == "spark"]
    kept: dict[str, pytest.Item] = {}
    for item in sorted(on_spark, key=lambda item: item.nodeid):
        mark = item.get_closest_marker("every_engine")
        if mark and _parameters(item).get("any_store", "local") == mark.kwargs.get("store", "local"):
            kept.setdefault(item.nodeid.split("[")[0], item)
    for item in on_spark:
        if item not in kept.values():
            item.add_marker("soak")


def _parameters(item: pytest.Item) -> dict[str, object]:
    return item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[object]:
    """Know which test is running, with its fixtures."""
    _found.clear()
    _running.append(item)
    try:
        return (yield)
    finally:
        _running.pop()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[object]:
    """Fail a test that did without its mark what needs one."""
    result = yield
    for event, what in _found.items():
        pytest.fail(f"{event} of {what}: this test, or a fixture of it, lacks a mark ({', '.join(_NEEDED[event])})")
    return result


def _note(event: str, arguments: tuple[object, ...]) -> None:
    """Nothing is raised here: it would be raised on whatever thread it happens, and leave others waiting."""
    needed = _NEEDED.get(event)
    if (
        needed
        and arguments[1] not in _INNOCENT
        and _running
        and not set(needed) & {mark.name for mark in _running[-1].iter_markers()}
    ):
        _found[event] = repr(arguments[1])[:300]


sys.addaudithook(_note)
