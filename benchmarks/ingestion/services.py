"""Starts the services that are measured, each in a process of its own, with S3 in another, and sends to them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPConnection
from itertools import count
from pathlib import Path
from threading import Event, Thread
from time import monotonic, perf_counter, sleep
from urllib.parse import urlsplit

import boto3

from benchmarks.harness import environment
from benchmarks.processes import IMAGE_VARIABLES
from gata_assets_tests.support.loopback import free_port

BUCKET = "bench"
_AWS = {
    "AWS_ACCESS_KEY_ID": "bench",
    "AWS_SECRET_ACCESS_KEY": "bench",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
}
_OURS = {
    **IMAGE_VARIABLES,
    "SERVICE_AUTH": "trusted-network",
    "SERVICE_REQUESTS_PER_SECOND": "100000",
    "SERVICE_REQUEST_BURST": "100000",
    "TARGET_BUCKET": BUCKET,
}
_BOUNDARY = "bench"
_HEAD = (
    f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="rows.csv"\r\n'
    "Content-Type: text/csv\r\n\r\n"
).encode()
_TAIL = f"\r\n--{_BOUNDARY}--\r\n".encode()
_START_SECONDS, _ANSWER_SECONDS = 60, 600
_S3 = (
    "from gata_assets_tests.support.s3_server import S3Server; from threading import Event\n"
    "with S3Server() as server: print(server.url, flush=True); Event().wait()"
)


@dataclass(frozen=True)
class Running:
    """A service, and the directory that it has for temporary files."""

    url: str
    pid: int
    scratch: Path

    def memory(self, field: str = "VmHWM") -> float:
        """Megabytes of the process that receives: VmHWM is the most so far, RssAnon what is not of files, now."""
        return memory_of(self.pid, field)

    def memory_of_others(self, field: str = "VmHWM") -> float:
        """Megabytes of the processes that it has started, each by itself."""
        return sum(memory_of(pid, field) for pid in children_of(self.pid))

    def processor_seconds(self) -> float:
        """What its processes have taken of the cores so far."""
        return sum(map(processor_seconds, [self.pid, *children_of(self.pid)]))

    def connect(self) -> HTTPConnection:
        """A connection to it."""
        return HTTPConnection("127.0.0.1", urlsplit(self.url).port or 0, timeout=_ANSWER_SECONDS)


def memory_of(pid: int, field: str) -> float:
    """Megabytes of a process, by the name of a line of its status."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(f"{field}:"))


def children_of(pid: int) -> list[int]:
    """The processes that a process has started."""
    return [int(one) for file in Path(f"/proc/{pid}/task").glob("*/children") for one in file.read_text().split()]


def processor_seconds(pid: int) -> float:
    """What a process has taken of the cores so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def s3() -> Iterator[dict[str, str]]:
    """An S3 in a process of its own, with an empty bucket; yields the variables of the SDK."""
    with s3_process() as (variables, _):
        yield variables


@contextmanager
def s3_process() -> Iterator[tuple[dict[str, str], int]]:
    """As `s3`; also yields the number of its process."""
    with _process([sys.executable, "-c", _S3], {}) as process:
        assert process.stdout
        variables = {**_AWS, "AWS_ENDPOINT_URL": process.stdout.readline().strip()}
        with environment(variables):
            boto3.client("s3").create_bucket(Bucket=BUCKET)
        yield variables, process.pid


@contextmanager
def ours(variables: Mapping[str, str], directory: Path) -> Iterator[Running]:
    """`gata serve`, with the variables of the image."""
    gata = str(Path(sys.executable).with_name("gata"))
    own = {**_OURS, **variables, "TMPDIR": str(directory)}
    with _process([gata, "serve", "--port", "0", "--json"], own, directory) as process:
        assert process.stdout
        ready = json.loads(process.stdout.readline())
        Thread(target=process.stdout.read, daemon=True).start()
        yield Running(ready["url"], process.pid, directory)


@contextmanager
def reference(variables: Mapping[str, str], directory: Path) -> Iterator[Running]:
    """The reference's way."""
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "benchmarks.ingestion.reference_service:app", "--port", str(port)]
    own = {**IMAGE_VARIABLES, **variables, "BUCKET": BUCKET, "TMPDIR": str(directory)}
    with _process([*command, "--no-access-log"], own) as process:
        running = Running(f"http://127.0.0.1:{port}", process.pid, directory)
        until = monotonic() + _START_SECONDS
        while True:
            try:
                running.connect().connect()
                break
            except OSError:
                if monotonic() > until:
                    raise
                sleep(0.1)
        yield running


@contextmanager
def _process(
    command: list[str], variables: Mapping[str, str], directory: Path | None = None
) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        command,
        cwd=directory,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@dataclass(frozen=True)
class Upload:
    """What an upload took: seconds, also of the processor, and megabytes of memory and of temporary files until it was
    sent, and until it was answered.
    """

    seconds: float
    processor_seconds: float
    sent_after: float
    memory_sent: float
    memory: float
    anonymous: float
    memory_of_others: float
    anonymous_of_others: float
    scratch_sent: float
    scratch: float
    answer: dict[str, object]


def upload(service: Running, path: str, file: Path) -> Upload:
    """Upload a file piece by piece."""
    sizes, anonymous, of_others, is_done = [0.0], [0.0], [0.0], Event()

    def watch() -> None:
        while not is_done.wait(0.05):
            sizes.append(_size_of(service.scratch))
            anonymous.append(service.memory("RssAnon"))
            of_others.append(service.memory_of_others("RssAnon"))

    watcher = Thread(target=watch)
    watcher.start()
    try:
        started, before = perf_counter(), service.processor_seconds()
        connection = service.connect()
        connection.putrequest("POST", path)
        connection.putheader("Content-Type", f"multipart/form-data; boundary={_BOUNDARY}")
        connection.putheader("Content-Length", str(len(_HEAD) + file.stat().st_size + len(_TAIL)))
        connection.endheaders(_HEAD)
        with file.open("rb") as content:
            while piece := content.read(1 << 20):
                connection.send(piece)
        sent_after, memory_sent, scratch_sent = perf_counter() - started, service.memory(), max(sizes)
        connection.send(_TAIL)
        reply = connection.getresponse()
        answer = json.loads(reply.read())
        seconds, of_processor = perf_counter() - started, service.processor_seconds() - before
    finally:
        is_done.set()
        watcher.join()
    if reply.status != 200:
        raise RuntimeError(f"{path} answered {reply.status}: {answer}")
    own, others = (memory_sent, service.memory(), max(anonymous)), (service.memory_of_others(), max(of_others))
    return Upload(seconds, of_processor, sent_after, *own, *others, scratch_sent, max(sizes), answer)


def _size_of(directory: Path) -> float:
    total = 0
    # Unlike Path.rglob it goes on when a folder is removed meanwhile.
    for folder, _, names in os.walk(directory):
        for name in names:
            with suppress(OSError):
                total += Path(folder, name).stat().st_size
    return total / 1e6


@dataclass(frozen=True)
class Sent:
    """What requests took: seconds in all, of the service's processor, and of each."""

    seconds: float
    processor_seconds: float
    of_each: list[float]


def send_all(service: Running, path: str, bodies: list[bytes], clients: int, status: int) -> Sent:
    """Send bodies from so many clients, each of which waits for its answer."""
    numbers, taken = count(), [0.0] * len(bodies)

    def send(_: int) -> None:
        connection = service.connect()
        while (number := next(numbers)) < len(bodies):
            started = perf_counter()
            connection.request("POST", path, bodies[number], {"Content-Type": "application/json"})
            reply = connection.getresponse()
            reply.read()
            taken[number] = perf_counter() - started
            if reply.status != status:
                raise RuntimeError(f"{path} answered {reply.status}")
        connection.close()

    started, before = perf_counter(), service.processor_seconds()
    with ThreadPoolExecutor(clients) as threads:
        list(threads.map(send, range(clients)))
    return Sent(perf_counter() - started, service.processor_seconds() - before, taken)
