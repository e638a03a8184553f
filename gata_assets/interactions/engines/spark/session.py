"""The Spark session of this process: on a master (classic) or on a Spark Connect server, one of them, once.

Sizes of executors and whatever else a cluster needs are the cluster's own settings (spark-defaults.conf); set here is
what no machine should lay open. Whatever Spark raises leaves here as an error of ours.
"""

from __future__ import annotations

import atexit
import re
import socket
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from gata_assets import errors
from gata_assets.errors import DamagedTableError, DataRuleError, EngineError, GataError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

APP_NAME = "gata-assets"
# A master or a Connect server that is there answers in milliseconds; Spark itself would try for a minute or ten.
_ANSWER_SECONDS = 10
_DEFAULT_PORTS = {"spark": 7077, "sc": 15002}

# For classic sessions alone: a Connect server has its own. The UI shows plans to who can reach the machine.
_CLASSIC_SETTINGS = {"spark.ui.enabled": "false", "spark.ui.showConsoleProgress": "false", "spark.log.level": "ERROR"}
_LOOPBACK_SETTINGS = {"spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1"}
_ON_LOOPBACK = re.compile(r"local|spark://(127\.0\.0\.1|localhost)(:[0-9]+)?$")

_open: dict[str, SparkSession] = {}


def open_session(
    *, master: str | None, remote: str | None, settings: Mapping[str, str], wait_seconds: float = 300
) -> SparkSession:
    """The session of this process on a master or a Connect server; begun at the first call, ended with the process, or
    when another address is asked for.

    `settings` are Spark's own, by name, and hold before ours. Raises EngineError: pyspark or Java is missing, nobody
    answers within seconds, the cluster refuses, or it runs nothing within `wait_seconds`.
    """
    where = remote or master or "local[*]"
    if where in _open:
        return _open[where]
    try:
        from pyspark.sql import SparkSession
    except ImportError:
        raise EngineError("INTERACTION_ENGINE=spark needs pyspark: pip install 'gata-assets[spark]'") from None
    require_answer(where)
    close_session()
    builder = SparkSession.builder.appName(APP_NAME)
    with _starting(where):
        if remote:
            session = _configured(builder.remote(remote), settings)
        else:
            loopback = _LOOPBACK_SETTINGS if _ON_LOOPBACK.match(where) else {}
            session = _configured(builder.master(where), {**_CLASSIC_SETTINGS, **loopback, **settings})
            context = session.sparkContext
            # Without PYSPARK_PYTHON Spark would take the first python3 of the PATH, which lacks this package.
            if context.pythonExec == "python3":
                context.pythonExec = sys.executable
    _open[where] = session
    if not where.startswith("local"):
        _require_executor(session, where, wait_seconds)
    return session


def _require_executor(session: SparkSession, where: str, wait_seconds: float) -> None:
    """A task of nothing has run: without an executor Spark itself would wait for one without end, and say so in logs.

    What an executor is asked for may come later, where executors come and go with the tasks; so it is a task that asks.
    """
    with ThreadPoolExecutor(1) as pool:
        ran = pool.submit(session.range(1).collect)
        try:
            with _starting(where):
                ran.result(wait_seconds)
        except BaseException as error:
            # This ends the task, for which the thread would wait else.
            close_session()
            if not isinstance(error, TimeoutError):
                raise
            raise EngineError(
                f"Nothing ran on {_public(where)} within {wait_seconds:.0f} s: no executor came. The cluster has no "
                "worker, or none with as many free cores and as much memory as an executor asks for. Look at its "
                "workers and other applications, or ask for less (spark.executor.memory, spark.executor.cores, "
                "spark.cores.max)."
            ) from None


def is_open(session: SparkSession) -> bool:
    """Whether a session is that of this process still."""
    return session in _open.values()


def close_session() -> None:
    """End the session of this process, if it has one."""
    while _open:
        _open.popitem()[1].stop()


atexit.register(close_session)


@contextmanager
def spark_errors(doing: str) -> Iterator[None]:
    """What Spark raises becomes an error of ours, without Spark's text: it may hold values of rows.

    An error of ours that was raised in an executor comes out as itself.
    """
    from py4j.protocol import Py4JError
    from pyspark.errors import PySparkException

    try:
        yield
    except (PySparkException, Py4JError) as error:
        text = str(error)
        raised = _OURS.findall(text)
        if raised:
            name, message = raised[-1]
            key = _NOTED_KEY.search(text)
            if key and name == DamagedTableError.__name__:
                raise DamagedTableError(message.strip(), key=key[1]) from None
            raise _error_class(name)(message.strip()) from None
        raise EngineError(
            f"Spark broke off while {doing}: {_kind_of(error)}. Look at the logs of the driver and the executors; "
            "a batch can be run again."
        ) from None


@contextmanager
def noting_the_key() -> Iterator[None]:
    """In a task: the key of a damaged file goes with the error, of which the driver gets the text alone."""
    try:
        yield
    except DamagedTableError as error:
        if error.key is not None:
            error.add_note(f"{_NOTE}{error.key}")
        raise


_NOTE = "The damaged file has the key "
_NOTED_KEY = re.compile(rf"{_NOTE}(.*)")
_OURS = re.compile(r"gata_assets\.errors\.(\w+): (.*)")


def _error_class(name: str) -> type[GataError]:
    found = getattr(errors, name, None)
    return found if isinstance(found, type) and issubclass(found, GataError) else DataRuleError


def _kind_of(error: Exception) -> str:
    """What kind of error it is, by Spark's name of it, and by Python's or Java's: the classes, never the text."""
    condition = getattr(error, "getCondition", lambda: None)() or type(error).__name__
    classes = _PYTHON_CLASS.findall(str(error)) or _JAVA_CLASS.findall(str(error))
    return f"{condition} ({classes[-1]})" if classes else str(condition)


_PYTHON_CLASS = re.compile(r"^([\w.]+(?:Error|Exception))(?::|$)", re.MULTILINE)
_JAVA_CLASS = re.compile(r"\b((?:[a-z]\w*\.){2,}[A-Z]\w+(?:Exception|Error))\b")


def _configured(builder: SparkSession.Builder, settings: Mapping[str, str]) -> SparkSession:
    for name, value in settings.items():
        builder = builder.config(name, value)
    return builder.getOrCreate()


@contextmanager
def _starting(where: str) -> Iterator[None]:
    from py4j.protocol import Py4JError
    from pyspark.errors import PySparkException

    try:
        yield
    except (PySparkException, Py4JError) as error:
        kind = _kind_of(error)
        if "JAVA_GATEWAY_EXITED" in kind:
            raise EngineError(
                "Spark needs a Java runtime, 17 or later, and could not start one: look at JAVA_HOME and the PATH."
            ) from None
        raise EngineError(f"No Spark session on {_public(where)}: {kind}. {_ADVICE}") from None


def require_answer(where: str) -> None:
    """See that somebody listens at a master or a Connect server; of masters for one another (with commas), any.

    Raises EngineError.
    """
    scheme, _, rest = where.partition("://")
    if scheme not in _DEFAULT_PORTS:
        return
    for place in rest.partition("/")[0].split(","):
        parts = urlsplit(f"//{place}")
        with (
            suppress(OSError),
            socket.create_connection(
                (parts.hostname or "", parts.port or _DEFAULT_PORTS[scheme]), timeout=_ANSWER_SECONDS
            ),
        ):
            return
    raise EngineError(f"Nobody answers at {_public(where)}. {_ADVICE}")


def _public(where: str) -> str:
    """An address without its parameters, among which a Connect server's token may be."""
    return where.partition(";")[0].rstrip("/")


_ADVICE = "Look at SPARK_MASTER or SPARK_REMOTE, and whether the cluster runs."
