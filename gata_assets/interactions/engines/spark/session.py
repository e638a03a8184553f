"""The process's Spark session: a single one, on a master (classic) or a Spark Connect server.

Executor sizes and other cluster settings belong to the cluster (spark-defaults.conf); this module only sets what limits
exposure on the network. Spark's exceptions are converted to our errors.
"""

from __future__ import annotations

import atexit
import re
import socket
import ssl
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
# A reachable master or Connect server answers in milliseconds; Spark itself would retry for one to ten minutes.
_ANSWER_SECONDS = 10
# What an HTTP/2 client begins with: the preface, and its settings, of which there are none.
_HTTP2_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
_DEFAULT_PORTS = {"spark": 7077, "sc": 15002}

# For classic sessions only: a Connect server has its own. The UI shows query plans to everyone on the network.
_CLASSIC_SETTINGS = {"spark.ui.enabled": "false", "spark.ui.showConsoleProgress": "false", "spark.log.level": "ERROR"}
_LOOPBACK_SETTINGS = {"spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1"}
_ON_LOOPBACK = re.compile(r"local|spark://(127\.0\.0\.1|localhost)(:[0-9]+)?$")

_open: dict[str, SparkSession] = {}


def open_session(
    *, master: str | None, remote: str | None, settings: Mapping[str, str], wait_seconds: float = 300
) -> SparkSession:
    """Return the process's session, started at the first call and stopped at exit or when the address changes.

    Args:
        master: The address of a master; without it and `remote`, `local[*]`.
        remote: The address of a Connect server.
        settings: Spark settings by name, which take precedence over ours.
        wait_seconds: How long the first task may wait for an executor.

    Raises:
        EngineError: If pyspark or Java is missing, the address does not answer within seconds, the cluster rejects the
            session, or no task runs within `wait_seconds`.
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
            # Without PYSPARK_PYTHON, Spark would use the first python3 on the PATH, which lacks this package.
            if context.pythonExec == "python3":
                context.pythonExec = sys.executable
    _open[where] = session
    if not where.startswith("local"):
        _require_executor(session, where, wait_seconds)
    return session


def _require_executor(session: SparkSession, where: str, wait_seconds: float) -> None:
    """Require that an empty task runs: without an executor, Spark itself would wait forever and only log it.

    A task is needed because with dynamic allocation, executors start only when tasks request them.
    """
    with ThreadPoolExecutor(1) as pool:
        ran = pool.submit(session.range(1).collect)
        try:
            with _starting(where):
                ran.result(wait_seconds)
        except BaseException as error:
            # Ends the task; otherwise the thread would wait for it.
            close_session()
            if not isinstance(error, TimeoutError):
                raise
            raise EngineError(
                f"No task ran on {_public(where)} within {wait_seconds:.0f} s: no executor started. The cluster has no "
                "worker, or none with enough free cores and memory for an executor. Check its workers and other "
                "applications, or request less (spark.executor.memory, spark.executor.cores, spark.cores.max)."
            ) from None


def is_open(session: SparkSession) -> bool:
    """Whether a session is still the process's session."""
    return session in _open.values()


def close_session() -> None:
    """Stop the process's session, if it has one."""
    while _open:
        _open.popitem()[1].stop()


atexit.register(close_session)


@contextmanager
def spark_errors(doing: str) -> Iterator[None]:
    """Convert Spark's exceptions to our errors, without Spark's message, which may contain row values.

    Our own errors from an executor are raised again with their class and message.

    Args:
        doing: The current step, for the message.
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
            f"Spark failed while {doing}: {_kind_of(error)}. Check the logs of the driver and the executors, then run "
            "the batch again."
        ) from None


@contextmanager
def noting_the_key() -> Iterator[None]:
    """In a task: add a damaged file's key to the error's text, since the driver receives only the text."""
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
    """Spark's error condition and the Python or Java exception class, never the message."""
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
                "Spark needs Java 17 or later and could not start it: check JAVA_HOME and the PATH."
            ) from None
        raise EngineError(f"No Spark session on {_public(where)}: {kind}. {_ADVICE}") from None


def require_answer(where: str, seconds: float = _ANSWER_SECONDS) -> None:
    """Require that a master accepts connections, or that a Connect server answers; of several masters, any.

    Raises:
        EngineError: If none does within seconds.
    """
    scheme, _, rest = where.partition("://")
    if scheme not in _DEFAULT_PORTS:
        return
    _, _, parameters = rest.partition("/")
    for place in rest.partition("/")[0].split(","):
        parts = urlsplit(f"//{place}")
        with (
            suppress(OSError),
            socket.create_connection(
                (parts.hostname or "", parts.port or _DEFAULT_PORTS[scheme]), timeout=seconds
            ) as connection,
        ):
            if scheme == "spark" or _speaks(connection, is_encrypted="use_ssl=true" in parameters.lower()):
                return
    raise EngineError(f"No answer from {_public(where)}. {_ADVICE}")


def _speaks(connection: socket.socket, *, is_encrypted: bool) -> bool:
    """Whether a gRPC server says anything: pyspark's client would wait for it for minutes."""
    if is_encrypted:
        context = ssl.create_default_context()
        # Nothing is sent here; pyspark's own connection verifies the certificate.
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        # An error of TLS is an answer too, which pyspark explains.
        with suppress(ssl.SSLError):
            context.wrap_socket(connection).close()
        return True
    connection.sendall(_HTTP2_PREFACE)
    return connection.recv(1) != b""


def _public(where: str) -> str:
    """An address without its parameters, which may include a Connect server's token."""
    return where.partition(";")[0].rstrip("/")


_ADVICE = "Check SPARK_MASTER or SPARK_REMOTE, and that the cluster is running."
