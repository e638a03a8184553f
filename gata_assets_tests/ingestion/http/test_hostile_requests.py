"""Requests that lie, break off, linger or are no requests: each gets a clear problem, and stops nobody else.

Real: the service on a port, and sockets that send what no client library would. Faked: the target is in memory.
"""

from __future__ import annotations

import gzip
import json
import re
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace

import pytest

from gata_assets.ingestion.http.problems import Problem
from gata_assets.ingestion.http.server.connections import MOST_HEAD_BYTES
from gata_assets.ingestion.http.server.refusals import Refusals
from gata_assets.ingestion.http.service import MOST_HELD_BYTES
from gata_assets.ingestion.keys.key_store import KeyStore
from gata_assets_tests.support.http_service import FAST, TENANT, Reply, RunningService, multipart
from gata_assets_tests.support.memory_store import MemoryStore
from gata_assets_tests.support.raw_worlds import NOW, interaction

ROWS, EVENTS, VALIDATE = "/internal/data/interactions", "/v1/events?table=interactions", "/api/validation/validate"
UPLOAD = "/internal/data/upload-csv?data_type=interactions"
ROW = json.dumps(interaction()).encode()
BODY = b"[" + ROW + b"]"
CHUNKED = ("Transfer-Encoding: chunked",)
PATIENCE = 1.0
Make = Callable[..., bytes]


@pytest.fixture(scope="module")
def service() -> Iterator[RunningService]:
    """A service that waits for little, and a key that may do all."""
    store = MemoryStore()
    secret, _ = KeyStore(store, lambda: NOW).create(TENANT, ["admin"])
    with RunningService(store, replace(FAST, patience_seconds=PATIENCE), secret=secret) as found:
        yield found


@pytest.fixture(autouse=True)
def _others_are_served(service: RunningService) -> Iterator[None]:
    """A good client is served beside, on a connection that was open before, and after."""
    with socket.create_connection(("127.0.0.1", service.port), timeout=20) as other:
        yield
        assert service.post(ROWS, [interaction()]).status == 200
        other.sendall(head(service, "GET", "/health"))
        # It may have waited for longer than the service does.
        assert received(other)[:15] in (b"HTTP/1.1 200 OK", b"")


def head(service: RunningService, method: str, path: str | bytes, *headers: str | bytes) -> bytes:
    """The head of a request with the key of a service."""
    lines = [f"{method} ".encode() + _bytes(path) + b" HTTP/1.1", b"Host: x", f"X-API-Key: {service.secret}".encode()]
    return b"\r\n".join([*lines, *map(_bytes, headers), b"", b""])


def _bytes(text: str | bytes) -> bytes:
    return text.encode() if isinstance(text, str) else text


def received(connection: socket.socket) -> bytes:
    """The answers on a connection, until it ends or the first is complete."""
    found = b""
    try:
        while piece := connection.recv(1 << 16):
            found += piece
            first, _, body = found.partition(b"\r\n\r\n")
            size = re.search(rb"content-length: (\d+)", first)
            if size and len(body) >= int(size[1]):
                break
    except ConnectionError:
        pass
    return found


def answer_to(service: RunningService, *pieces: bytes) -> Reply:
    """The first answer to what is sent, piece by piece."""
    with socket.create_connection(("127.0.0.1", service.port), timeout=20) as connection:
        try:
            for piece in pieces:
                connection.sendall(piece)
        except ConnectionError:
            # It was refused before its end.
            pass
        first, _, body = received(connection).partition(b"\r\n\r\n")
    status, *lines = first.decode("latin-1").split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines)
    # Words of values may have capitals.
    return Reply(int(status.split(" ")[1]), headers, body)


def post(service: RunningService, path: str | bytes, body: bytes, *headers: str | bytes) -> Reply:
    """The answer to a body that is as long as its head says."""
    return answer_to(service, head(service, "POST", path, f"Content-Length: {len(body)}", *headers) + body)


def outcome(reply: Reply) -> tuple[int, str]:
    """An answer's status, and the kind of its problem."""
    return reply.status, reply.kind if reply.status >= 400 else ""


@pytest.mark.parametrize(
    ("body", "rows", "events", "validated"),
    [
        (ROW[:-1] + b', "rating": NaN}', (400, "malformed"), (400, "malformed"), (400, "malformed")),
        (ROW[:-1] + b', "rating": -Infinity}', (400, "malformed"), (400, "malformed"), (400, "malformed")),
        (ROW[:-1] + b', "rating": 1e400}', (200, ""), (202, ""), (200, "")),
        (ROW[:-1] + b', "x": ' + b"9" * 5_000 + b"}", (422, "unreadable"), (202, ""), (200, "")),
        (
            b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
            (400, "malformed"),
            (400, "malformed"),
            (400, "malformed"),
        ),
        (b'{"a": ' * 10**5 + b"1" + b"}" * 10**5, (400, "malformed"), (400, "malformed"), (400, "malformed")),
        (ROW.replace(b"u1", rb"\ud800"), (400, "malformed"), (400, "malformed"), (400, "malformed")),
        (ROW.replace(b"u1", rb"\ud83d\ude00"), (200, ""), (202, ""), (200, "")),
        (ROW.replace(b"u1", rb"\u0000"), (200, ""), (202, ""), (200, "")),
        (ROW.replace(b"u1", b"\0"), (400, "malformed"), (400, "malformed"), (400, "malformed")),
        (ROW.replace(b"u1", b"\xff"), (422, "unreadable"), (202, ""), (200, "")),
        (ROW[:-1] + b', "user_id": "u2"}', (200, ""), (202, ""), (200, "")),
        (ROW[:-1] + b",}", (400, "malformed"), (400, "malformed"), (400, "malformed")),
        (ROW + b",", (400, "malformed"), (400, "malformed"), (400, "malformed")),
        (b"\xef\xbb\xbf" + ROW, (400, "malformed"), (400, "malformed"), (400, "malformed")),
        (b"[]", (422, "no-object"), (422, "no-object"), (422, "no-object")),
        (b"null", (422, "no-object"), (422, "no-object"), (422, "no-object")),
    ],
    ids=lambda found: found[:40].decode("latin-1") if isinstance(found, bytes) else "",
)
def test_json_that_is_none_or_not_as_expected(
    service: RunningService, body: bytes, rows: tuple[int, str], events: tuple[int, str], validated: tuple[int, str]
) -> None:
    kind = "Content-Type: application/json"
    assert outcome(post(service, ROWS, b"[" + body + b"]", kind)) == rows
    if body != b"[]":
        sample = b'{"data_type": "interactions", "sample_data": [' + body + b"]}"
        found = post(service, VALIDATE, sample, kind)
        assert outcome(found) == validated
    assert outcome(post(service, EVENTS, body, kind)) == events


@pytest.mark.parametrize(
    ("body", "status", "rows"),
    [
        (b"", 422, 0),
        (b" \n\r\n", 422, 0),
        (ROW + b"\r\n" + ROW + b"\r\n", 200, 2),
        (ROW + b"\r" + ROW + b"\r", 422, 0),
        (b"\xef\xbb\xbf" + ROW + b"\n", 200, 1),
        (ROW + b"\n" + ROW[:-1] + b',"rating": NaN}\n' + b"[" * 100_000 + b"\n\xff\n", 200, 1),
        (ROW + b",\n" + ROW + b",\n", 422, 0),
        (BODY.decode().encode("utf-16"), 422, 0),
    ],
    ids=["empty", "blank", "CRLF", "CR", "BOM", "one good line of four", "commas", "UTF-16"],
)
def test_lines_that_are_none_or_not_as_expected(service: RunningService, body: bytes, status: int, rows: int) -> None:
    reply = post(service, ROWS, body, "Content-Type: application/x-ndjson")
    assert outcome(reply) == (status, "unreadable" if status == 422 else "")
    assert reply.json.get("rows_accepted", 0) == rows


@pytest.mark.parametrize(
    ("content_type", "body", "status", "kind"),
    [
        ("multipart/form-data; boundary=B", multipart(b"a"), 400, "malformed"),
        ("multipart/form-data; boundary=", multipart(b"a"), 415, "no-multipart"),
        ("multipart/form-data; boundary=" + "x" * 5_000, multipart(b"a"), 400, "malformed"),
        (b"multipart/form-data; boundary=\xff\0", multipart(b"a"), 400, "malformed"),
        ("multipart/form-data; boundary=B", b"", 400, "cut-off"),
        ("multipart/form-data; boundary=B", b"--B\r\n\r\nx\r\n--B--\r\n", 422, "no-file"),
        ("multipart/form-data; boundary=B", b"--B\r\nno colon\r\n\r\nx\r\n--B--\r\n", 400, "malformed"),
        ("multipart/form-data; boundary=B", b"--B\r\nA: " + b"x" * 10**6, 400, "malformed"),
        ("multipart/form-data; boundary=B", b"--B\r\n" + b"A: b\r\n" * 10**5, 400, "malformed"),
    ],
)
def test_multipart_that_is_none(
    service: RunningService, content_type: str | bytes, body: bytes, status: int, kind: str
) -> None:
    assert outcome(post(service, UPLOAD, body, b"Content-Type: " + _bytes(content_type))) == (status, kind)


@pytest.mark.parametrize(
    ("headers", "body", "status", "kind"),
    [
        (["Content-Length: 5", "Content-Length: 6"], b"", 400, "malformed"),
        (["Content-Length: -5"], b"", 400, "malformed"),
        (["Content-Length: 5"], BODY, 400, "malformed"),
        (["Content-Length: 500"], BODY, 408, "slow"),
        ([*CHUNKED, "Content-Length: 5"], b"", 400, "malformed"),
        (["Transfer-Encoding: gzip, chunked"], b"", 415, "encoding"),
        (CHUNKED, b"zz\r\n", 400, "malformed"),
        (CHUNKED, b"fffffffffffffffff\r\n", 400, "malformed"),
        (CHUNKED, b"5\r\n[", 408, "slow"),
        (CHUNKED, b"1\r\n[\r\n0\r\nA: " + b"x" * 5 * MOST_HEAD_BYTES, 431, "head"),
        (CHUNKED, b"2\r\n{}\r\n0\r\nIdempotency-Key: " + b"x" * 300 + b"\r\n\r\n", 422, "unreadable"),
        (["Content-Length: 30", "Content-Encoding: gzip"], gzip.compress(b" " * 10**6, mtime=0), 415, "encoding"),
        (["Content-Length: 1", "Content-Encoding: identity", "Content-Encoding: gzip"], b"x", 415, "encoding"),
        (["Content-Length: 2", "Idempotency-Key: a", "Idempotency-Key: a"], b"[]", 400, "idempotency-key"),
        (["Content-Length: 2", "Idempotency-Key: "], b"[]", 400, "idempotency-key"),
        (["Content-Length: 2", b"Idempotency-Key: a\0b"], b"[]", 400, "malformed"),
        (["Content-Length: 2", b"X-Request-ID: a\rb"], b"[]", 400, "malformed"),
        (["Content-Length: 2", b"X-Request-ID: \xff"], b"[]", 422, "unreadable"),
        (["Content-Length: 2", "Upgrade: h2c", "Connection: Upgrade"], b"[]", 400, "upgrade"),
        (["Content-Length: 99999999999", "Expect: 100-continue"], b"", 413, "too-large"),
        (["A: " + "x" * MOST_HEAD_BYTES], b"", 431, "head"),
        ([f"A{number}: b" for number in range(MOST_HEAD_BYTES // 6)], b"", 431, "head"),
    ],
    ids=lambda found: str(found)[:60],
)
def test_heads_and_bodies_that_lie(
    service: RunningService, headers: list[str], body: bytes, status: int, kind: str
) -> None:
    assert outcome(answer_to(service, head(service, "POST", ROWS, *headers), body)) == (status, kind)


@pytest.mark.parametrize(
    ("path", "status", "kind"),
    [
        ("/v1/events?table=%00", 404, "no-such-table"),
        ("/v1/events?table=%ff&x=%", 404, "no-such-table"),
        (b"/v1/events?table=\xff", 400, "malformed"),
        ("/v1/events?table=items&table=items", 422, "parameter"),
        ("/v1/events?table=items&tenant_id=acme&tenant_id=globex", 403, "other-tenant"),
        ("/v1/events?table=items&tenant_id=%ff", 403, "other-tenant"),
        ("/v1/events?" + "x" * MOST_HEAD_BYTES, 431, "head"),
        ("/internal/data/%00", 404, "no-such-table"),
        ("/internal/data/%2e%2e", 404, "no-such-table"),
        ("/webhooks/..%2f", 404, "no-such-path"),
        ("/webhooks/%ff", 404, "no-such-source"),
        ("*", 404, "no-such-path"),
    ],
)
def test_targets_of_requests_that_are_none(service: RunningService, path: str | bytes, status: int, kind: str) -> None:
    assert outcome(post(service, path, ROW)) == (status, kind)


@pytest.mark.parametrize(
    "sent", [b"\x16\x03\x01\x02\0", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"CONNECT x:80 HTTP/1.1\r\n\r\n"]
)
def test_what_is_no_http_of_this_version_is_refused_as_a_problem(service: RunningService, sent: bytes) -> None:
    assert outcome(answer_to(service, sent)) == (400, "malformed")


def test_a_head_that_does_not_end_is_waited_for_and_counted_only_so_far(service: RunningService) -> None:
    begun = b"GET /health HTTP/1.1\r\nA: "
    assert outcome(answer_to(service, begun)) == (408, "slow")
    assert outcome(answer_to(service, begun, *[b"x" * 10_000] * 100)) == (431, "head")
    with socket.create_connection(("127.0.0.1", service.port), timeout=20) as silent:
        assert silent.recv(100) == b""


def test_what_is_refused_before_its_route_is_counted_and_logged_without_what_was_sent() -> None:
    rules = replace(FAST, patience_seconds=PATIENCE)
    with RunningService(MemoryStore(), rules) as service:
        for _ in range(3):
            assert answer_to(service, b"CANARY ???\r\n\r\n").kind == "malformed"
        large = b"GET /health HTTP/1.1\r\nX-Canary: " + b"canary" * 11_000
        assert answer_to(service, large).kind == "head"
        assert answer_to(service, b"GET /canary HTTP/1.1\r\n").kind == "slow"
        metrics = service.ask("GET", "/metrics").body.decode()
    for reason, count in (("malformed", 3), ("head", 1), ("slow", 1)):
        assert f'gata_http_refused_total{{reason="{reason}"}} {count}.0' in metrics
    lines = [json.loads(line) for line in service.lines if "HTTP_REFUSED" in line]
    # The second and third came a moment after the first: they are in the line of the end.
    assert [(line["reason"], line["status"], line["count"]) for line in lines] == [
        ("malformed", 400, 1),
        ("head", 431, 1),
        ("slow", 408, 1),
        ("malformed", 400, 2),
    ]
    assert "canary" not in f"{service.lines}{metrics}".lower()


def test_lines_of_refusals_are_few_and_each_has_how_many_there_were() -> None:
    counted: list[str] = []
    lines: list[str] = []
    seconds = [0.0]
    refusals = Refusals(counted.append, lines.append, lambda: NOW, lambda: seconds[0])
    for now in (0.0, 1.0, 9.9, 10.0, 11.0):
        seconds[0] = now
        refusals.note(Problem(400, "malformed", "It is none."))
    refusals.close()
    refusals.close()
    assert counted == ["malformed"] * 5
    assert [json.loads(line)["count"] for line in lines] == [1, 3, 1]


def test_a_sender_is_asked_to_go_on_once_its_body_is_wanted(service: RunningService) -> None:
    with socket.create_connection(("127.0.0.1", service.port), timeout=20) as connection:
        connection.sendall(head(service, "POST", ROWS, f"Content-Length: {len(BODY)}", "Expect: 100-continue"))
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(BODY)
        assert received(connection).startswith(b"HTTP/1.1 200")


def test_what_follows_a_request_on_its_connection_does_not_take_its_answer_away(service: RunningService) -> None:
    whole = head(service, "POST", ROWS, f"Content-Length: {len(BODY)}") + BODY
    assert answer_to(service, whole + b"no request\r\n\r\n" * 5).status == 200
    with socket.create_connection(("127.0.0.1", service.port), timeout=20) as connection:
        connection.sendall(whole * 3 + head(service, "GET", "/health", "Connection: close"))
        answers = b""
        while piece := connection.recv(1 << 16):
            answers += piece
    assert answers.count(b"HTTP/1.1 200 OK") == 4


def test_bodies_that_are_announced_and_do_not_come_keep_nobody_out(service: RunningService) -> None:
    most = FAST.max_body_bytes
    with ExitStack() as stack:
        for _ in range(2 * MOST_HELD_BYTES // most):
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", service.port), timeout=20))
            connection.sendall(head(service, "POST", ROWS, f"Content-Length: {most}") + b"[")
        assert service.post(ROWS, [interaction()]).status == 200
        assert received(connection).startswith(b"HTTP/1.1 408")


pytestmark = pytest.mark.server
