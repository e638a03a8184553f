"""Who the local Data API answers.

Real: the server, its sockets, boto3 and botocore's signer, PostgreSQL where a statement runs. Faked: nothing. A web
page's requests are those that a browser sends, written by hand.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import psycopg
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from click.testing import CliRunner

from gata_assets.cli.main import main
from gata_assets.cli.servers import data_api as data_api_command
from gata_assets.sandbox.data_api import access
from gata_assets.sandbox.data_api.server import DataApiServer, is_loopback
from gata_assets_tests.support.canaries import canary
from gata_assets_tests.support.loopback import silent_server

pytestmark = pytest.mark.server

NO_DATABASE = "postgresql://user@127.0.0.1:1/gata"
DATA_TYPE, SECRETS_TYPE = "application/json", "application/x-amz-json-1.1"
# The response to a request that is admitted, since there is no database.
ADMITTED = (504, "DatabaseUnavailableException")
DENIED = (403, "AccessDeniedException")
BAD = (400, "BadRequestException")

Change = Callable[[dict[str, str]], None]


@pytest.fixture(scope="module")
def server() -> Iterator[DataApiServer]:
    with DataApiServer(NO_DATABASE) as running:
        yield running


def address(server: DataApiServer) -> tuple[str, int]:
    return "127.0.0.1", int(server.url.rpartition(":")[2])


def statement(server: DataApiServer, sql: str = "SELECT 1") -> bytes:
    content = {"resourceArn": server.resource_arn, "secretArn": server.secret_arn, "sql": sql}
    return json.dumps(content).encode()


def sign(
    server: DataApiServer,
    body: bytes,
    *,
    path: str = "/Execute",
    service: str = "rds-data",
    content_type: str = DATA_TYPE,
    secret_key: str | None = None,
    key_id: str = access.ACCESS_KEY_ID,
    at: datetime | None = None,
    more: dict[str, str] | None = None,
) -> dict[str, str]:
    """The headers of a POST as boto3 sends them, signed by botocore at a given time."""
    timestamp = (at or datetime.now(UTC)).strftime("%Y%m%dT%H%M%SZ")
    headers = {"Host": f"127.0.0.1:{address(server)[1]}", "Content-Type": content_type, "X-Amz-Date": timestamp}
    request = AWSRequest("POST", server.url + path, headers=headers | (more or {}), data=body)
    request.context["timestamp"] = timestamp
    signer = SigV4Auth(Credentials(key_id, secret_key or server.secret_key), service, "us-east-1")
    signature = signer.signature(signer.string_to_sign(request, signer.canonical_request(request)), request)
    signer._inject_signature_to_request(request, signature)
    return dict(request.headers) | {"Content-Length": str(len(body))}


def send(
    server: DataApiServer, headers: dict[str, str] | list[tuple[str, str]], body: bytes, path: str = "/Execute"
) -> tuple[int, str]:
    """Status and error name of the response to a POST with exactly these headers."""
    return send_raw(server, "POST", path, list(headers.items()) if isinstance(headers, dict) else headers, body)[:2]


def send_raw(
    server: DataApiServer, method: str, path: str, headers: list[tuple[str, str]], body: bytes
) -> tuple[int, str, dict[str, Any], http.client.HTTPResponse]:
    connection = http.client.HTTPConnection(*address(server), timeout=20)
    try:
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        for name, value in headers:
            connection.putheader(name, value)
        connection.endheaders(body or None)
        response = connection.getresponse()
        content = response.read()
        parsed = json.loads(content) if content else {}
        return response.status, response.headers["x-amzn-ErrorType"] or "", parsed, response
    finally:
        connection.close()


def test_a_signed_request_is_answered(server: DataApiServer) -> None:
    body = statement(server)
    assert send(server, sign(server, body), body) == ADMITTED


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "LOCALHOST", "[::1]"])
def test_each_name_of_this_machine_is_answered(server: DataApiServer, name: str) -> None:
    body = statement(server)
    headers = sign(server, body, more={"Host": f"{name}:{address(server)[1]}"})
    assert send(server, headers, body) == ADMITTED


@pytest.mark.parametrize(
    "host",
    [
        "attacker.example",
        "attacker.example:{port}",
        "127.0.0.1",
        "127.0.0.1:1",
        "127.0.0.1.attacker.example:{port}",
        "localhost.:{port}",
        "user@127.0.0.1:{port}",
        "0.0.0.0:{port}",
        "",
    ],
)
def test_another_host_name_is_refused_even_if_it_is_signed(server: DataApiServer, host: str) -> None:
    body = statement(server)
    headers = sign(server, body, more={"Host": host.format(port=address(server)[1])})
    assert send(server, headers, body) == DENIED


def test_two_or_no_host_headers_are_refused(server: DataApiServer) -> None:
    body = statement(server)
    headers = list(sign(server, body).items())
    assert send(server, [*headers, ("Host", "attacker.example")], body) == DENIED
    assert send(server, [(name, value) for name, value in headers if name != "Host"], body) == DENIED


@pytest.mark.parametrize(
    "header",
    [
        ("Origin", "http://attacker.example"),
        ("Origin", "null"),
        ("origin", "http://127.0.0.1:8080"),
        ("Sec-Fetch-Site", "cross-site"),
        ("sec-fetch-mode", "no-cors"),
        ("Sec-Fetch-Dest", "empty"),
    ],
)
def test_a_browser_is_refused_whatever_it_signs(server: DataApiServer, header: tuple[str, str]) -> None:
    body = statement(server)
    assert send(server, [*sign(server, body).items(), header], body) == DENIED


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT", "DELETE", "PATCH", "TRACE", "CONNECT", "FOO"])
def test_other_methods_are_refused_without_headers_for_pages(server: DataApiServer, method: str) -> None:
    host = ("Host", f"127.0.0.1:{address(server)[1]}")
    status, error, _, response = send_raw(server, method, "/Execute", [host], b"")
    assert (status, error) == DENIED
    assert not [name for name in response.headers if name.lower().startswith("access-control")]


@pytest.mark.parametrize(
    ("path", "service", "content_type", "expected"),
    [
        ("/Execute", "rds-data", "text/plain", BAD),
        ("/Execute", "rds-data", "application/x-www-form-urlencoded", BAD),
        ("/Execute", "rds-data", "multipart/form-data; boundary=x", BAD),
        ("/Execute", "rds-data", SECRETS_TYPE, BAD),
        ("/Execute", "rds-data", "application/json; charset=utf-8", ADMITTED),
        ("/", "secretsmanager", DATA_TYPE, BAD),
        ("/", "secretsmanager", "text/plain", BAD),
        ("/Execute", "secretsmanager", DATA_TYPE, (403, "UnrecognizedClientException")),
        ("/", "rds-data", SECRETS_TYPE, (403, "UnrecognizedClientException")),
    ],
)
def test_a_request_has_the_content_type_and_the_service_of_its_path(
    server: DataApiServer, path: str, service: str, content_type: str, expected: tuple[int, str]
) -> None:
    body = statement(server)
    headers = sign(server, body, path=path, service=service, content_type=content_type)
    assert send(server, headers, body, path) == expected


# Signatures


def test_an_unsigned_request_is_refused_with_what_to_do(server: DataApiServer) -> None:
    body = statement(server)
    headers = [(name, value) for name, value in sign(server, body).items() if name != "Authorization"]
    status, error, content, _ = send_raw(server, "POST", "/Execute", headers, body)
    assert (status, error) == (403, "MissingAuthenticationTokenException")
    assert "AWS_SECRET_ACCESS_KEY as `gata data-api` printed them" in content["message"]


def test_another_secret_key_or_access_key_is_refused(server: DataApiServer) -> None:
    body = statement(server)
    assert send(server, sign(server, body, secret_key="local"), body) == (403, "InvalidSignatureException")
    assert send(server, sign(server, body, key_id="local"), body) == (403, "UnrecognizedClientException")
    with DataApiServer(NO_DATABASE) as other:
        assert other.secret_key != server.secret_key
        assert len(other.secret_key) >= 32


def test_a_signature_is_of_its_body_its_path_and_its_headers(server: DataApiServer) -> None:
    body = statement(server)
    refused = (403, "InvalidSignatureException")
    assert send(server, sign(server, body), statement(server, "SELECT 2")) == refused
    assert send(server, sign(server, body), body, "/BatchExecute") == refused
    assert send(server, sign(server, body), body, "/Execute?a=b") == refused
    later = sign(server, body) | {"X-Amz-Date": (datetime.now(UTC) + timedelta(seconds=9)).strftime("%Y%m%dT%H%M%SZ")}
    assert send(server, later, body) == refused
    other_host = sign(server, body) | {"Host": f"localhost:{address(server)[1]}"}
    assert send(server, other_host, body) == refused


def test_a_digest_in_a_header_does_not_stand_for_the_body(server: DataApiServer) -> None:
    body, other = statement(server), statement(server, "SELECT 2")
    unsigned = sign(server, body, more={"X-Amz-Content-SHA256": "UNSIGNED-PAYLOAD"})
    assert send(server, unsigned, other) == (403, "InvalidSignatureException")
    assert send(server, unsigned, body) == (403, "InvalidSignatureException")


@pytest.mark.parametrize(
    ("minutes", "expected"),
    [
        (-14, ADMITTED),
        (14, ADMITTED),
        (-16, (403, "InvalidSignatureException")),
        (16, (403, "InvalidSignatureException")),
    ],
)
def test_a_signature_is_taken_for_fifteen_minutes(
    server: DataApiServer, minutes: int, expected: tuple[int, str]
) -> None:
    body = statement(server)
    headers = sign(server, body, at=datetime.now(UTC) + timedelta(minutes=minutes))
    assert send(server, headers, body) == expected


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "Bearer {key}",
        "AWS4-HMAC-SHA256",
        "AWS4-HMAC-SHA256 Credential=gata-local/20260101/us-east-1/rds-data/aws4_request, SignedHeaders=host, "
        "Signature=" + "0" * 64,
        "AWS4-HMAC-SHA256 Credential=a/b, SignedHeaders=, Signature=",
        "AWS4-HMAC-SHA256 " + "x" * 50_000,
    ],
)
def test_what_is_no_signature_is_refused(server: DataApiServer, authorization: str) -> None:
    body = statement(server)
    headers = sign(server, body) | {"Authorization": authorization.format(key=server.secret_key)}
    assert send(server, headers, body) == (403, "IncompleteSignatureException")


def test_a_date_that_is_none_is_refused(server: DataApiServer) -> None:
    body = statement(server)
    headers = sign(server, body) | {"X-Amz-Date": "yesterday"}
    assert send(server, headers, body) == (403, "InvalidSignatureException")


# Sizes and times


@pytest.mark.parametrize(
    "length", [None, "-1", "+5", "", "x", "1_0", "0x10", "1e3", "٣", "4194305", "99999999999999999999", "9" * 5000]
)
def test_a_length_that_is_none_or_too_large_is_refused_before_the_body(
    server: DataApiServer, length: str | None
) -> None:
    headers = {name: value for name, value in sign(server, b"").items() if name != "Content-Length"}
    if length is not None:
        headers["Content-Length"] = length
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    with socket.create_connection(address(server), timeout=20) as client:
        client.sendall(f"POST /Execute HTTP/1.1\r\n{head}\r\n".encode())
        # The body never comes: a server that waited for it would not answer.
        answer = b"".join(iter(lambda: client.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 400 ") and b"x-amzn-ErrorType: BadRequestException" in answer


def test_two_lengths_and_chunks_are_refused(server: DataApiServer) -> None:
    body = statement(server)
    headers = list(sign(server, body).items())
    assert send(server, [*headers, ("Content-Length", "5")], body) == BAD
    assert send(server, [*headers, ("Transfer-Encoding", "chunked")], body) == BAD


def test_a_body_is_not_asked_for_before_its_head_is_admitted(server: DataApiServer) -> None:
    body = statement(server)
    for headers, expected in ((sign(server, body), b"HTTP/1.1 100 "), ({}, b"HTTP/1.1 403 ")):
        head = "".join(f"{name}: {value}\r\n" for name, value in {**headers, "Expect": "100-continue"}.items())
        with socket.create_connection(address(server), timeout=20) as client:
            client.sendall(f"POST /Execute HTTP/1.1\r\n{head}\r\n".encode())
            assert client.recv(65536).startswith(expected)


@pytest.mark.parametrize("request_line", [b"\x16\x03\x01\x02\x00\x01\r\n\r\n", b"hello\r\n\r\n", b"GET /\r\n\r\n"])
def test_what_is_no_http_gets_no_word_of_it_back(server: DataApiServer, request_line: bytes) -> None:
    with socket.create_connection(address(server), timeout=20) as client:
        client.sendall(request_line)
        client.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: client.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 40") and b"hello" not in answer


@pytest.mark.parametrize("sent", [b"", b"POST /Execute HTTP/1.1\r\nHost: 127", "head", "drops"])
def test_a_client_that_stalls_is_disconnected(sent: bytes | str) -> None:
    with DataApiServer(NO_DATABASE) as server:
        assert server._http is not None
        server._http.request_seconds = 0.3
        body = statement(server)
        head = "".join(f"{name}: {value}\r\n" for name, value in sign(server, body).items())
        whole = f"POST /Execute HTTP/1.1\r\n{head}\r\n".encode()
        with socket.create_connection(address(server), timeout=20) as client:
            client.sendall(sent if isinstance(sent, bytes) else whole if sent == "head" else b"")
            if sent == "drops":
                # Each byte comes in time, the request as a whole does not.
                with pytest.raises(OSError):  # noqa: PT011 - a reset or a broken pipe
                    _send_slowly(client, whole * 100)
            else:
                assert client.recv(65536) == b""


def test_one_connection_too_many_is_told_to_come_again() -> None:
    with DataApiServer(NO_DATABASE) as server:
        assert server._http is not None
        server._http.max_connections = 2
        held = [socket.create_connection(address(server), timeout=20) for _ in range(2)]
        try:
            with socket.create_connection(address(server), timeout=20) as client:
                assert client.recv(65536).startswith(b"HTTP/1.1 503 ")
        finally:
            for client in held:
                client.close()
        body = statement(server)

        def is_admitted() -> bool:
            try:
                return send(server, sign(server, body), body) == ADMITTED
            except ConnectionError:
                # One connection too many still: it was closed while the request was sent.
                return False

        _until(is_admitted)


def test_a_refused_request_does_not_reach_the_next_one(server: DataApiServer) -> None:
    """A refused body that looks like a request is not read as one."""
    inner = statement(server)
    head = "".join(f"{name}: {value}\r\n" for name, value in sign(server, inner).items())
    smuggled = f"POST /Execute HTTP/1.1\r\n{head}\r\n".encode() + inner
    status, _, _, response = send_raw(
        server, "POST", "/Execute", [("Origin", "null"), ("Content-Length", str(len(smuggled)))], smuggled
    )
    assert status == 403
    assert response.headers["Connection"] == "close"


# boto3


def client_of(server: DataApiServer, service: str, **changed: str) -> Any:
    keys = {"aws_access_key_id": access.ACCESS_KEY_ID, "aws_secret_access_key": server.secret_key} | changed
    config = Config(retries={"total_max_attempts": 1})
    return boto3.client(service, endpoint_url=server.url, region_name="eu-central-1", config=config, **keys)  # type: ignore[call-overload]


def test_boto3_shows_the_error_under_its_name_for_both_services(server: DataApiServer) -> None:
    calls: list[Callable[[], Any]] = [
        lambda: client_of(server, "secretsmanager", aws_secret_access_key="x").get_secret_value(SecretId="x"),
        lambda: client_of(server, "rds-data", aws_secret_access_key="x").execute_statement(
            resourceArn=server.resource_arn, secretArn=server.secret_arn, sql="SELECT 1"
        ),
    ]
    for call in calls:
        with pytest.raises(ClientError) as caught:
            call()
        assert caught.value.response["Error"]["Code"] == "InvalidSignatureException"
        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403


def test_boto3_reads_the_secret_and_runs_a_statement_by_the_variables(
    postgres_url: str, aws_credentials: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    with DataApiServer(postgres_url) as server:
        for name, value in server.variables.items():
            monkeypatch.setenv(name, value)
        # A session of its own: the default one keeps the credentials that it saw first.
        session = boto3.Session()
        secret = session.client("secretsmanager").get_secret_value(SecretId=os.environ["DB_SECRET_ARN"])
        assert json.loads(secret["SecretString"])["dbname"] == "gata"
        answer = session.client("rds-data").execute_statement(
            resourceArn=os.environ["DB_ARN"], secretArn=os.environ["DB_SECRET_ARN"], sql="SELECT 'é' AS t"
        )
        assert answer["records"] == [[{"stringValue": "é"}]]


# Where it listens, and the command


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org", ""])  # noqa: S104
def test_an_address_of_other_machines_is_refused_unless_allowed(host: str) -> None:
    assert not is_loopback(host)
    with pytest.raises(ValueError, match="can be reached from other machines"):
        DataApiServer(NO_DATABASE, host=host)
    ran = CliRunner().invoke(main, ["data-api", "--postgres", NO_DATABASE, "--host", host])
    assert ran.exit_code == 2
    assert "add --allow-remote" in ran.output


def test_a_server_for_other_machines_takes_any_host_and_still_wants_a_signature() -> None:
    with DataApiServer(NO_DATABASE, host="0.0.0.0", allow_remote=True) as server:  # noqa: S104
        body = statement(server)
        headers = sign(server, body, more={"Host": "data-api:8080"})
        assert send(server, headers, body) == ADMITTED
        wrong = sign(server, body, more={"Host": "data-api:8080"}, secret_key="local")
        assert send(server, wrong, body) == (403, "InvalidSignatureException")


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[DataApiServer]:
    """The servers of the commands that the test runs, which end once they listen."""
    seen: list[DataApiServer] = []

    def serve(server: DataApiServer, *, on_ready: Callable[[DataApiServer], None]) -> None:
        with server:
            seen.append(server)
            on_ready(server)

    monkeypatch.setattr(data_api_command, "serve", serve)
    return seen


def test_the_command_shows_the_keys_and_warns_of_a_superuser(postgres_url: str, shown: list[DataApiServer]) -> None:
    ran = CliRunner().invoke(main, ["data-api", "--postgres", postgres_url, "--port", "0"])
    assert ran.exit_code == 0, ran.output
    assert f"export AWS_SECRET_ACCESS_KEY={shown[0].secret_key}\n" in ran.output
    assert f"export AWS_ACCESS_KEY_ID={access.ACCESS_KEY_ID}\n" in ran.output
    assert "Warning: the user of --postgres is a superuser" in ran.output


def test_the_command_prints_its_variables_as_a_line_of_json(postgres_url: str, shown: list[DataApiServer]) -> None:
    ran = CliRunner().invoke(main, ["data-api", "--postgres", postgres_url, "--port", "0", "--json"])
    ready = json.loads(ran.stdout)
    assert (ready["event"], ready["variables"]["AWS_SECRET_ACCESS_KEY"]) == ("DATA_API_READY", shown[0].secret_key)
    assert "Warning: the user of --postgres is a superuser" in ran.stderr


def test_the_command_does_not_warn_of_a_user_without_such_rights(postgres_url: str, shown: list[DataApiServer]) -> None:
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("CREATE ROLE reader_of_access LOGIN")
        try:
            url = psycopg.conninfo.make_conninfo(postgres_url, user="reader_of_access")
            ran = CliRunner().invoke(main, ["data-api", "--postgres", url, "--port", "0"])
            assert ran.exit_code == 0, ran.output
            assert "Warning" not in ran.output
            connection.execute("GRANT pg_execute_server_program TO reader_of_access")
            assert "Warning" in CliRunner().invoke(main, ["data-api", "--postgres", url, "--port", "0"]).output
        finally:
            connection.execute("DROP ROLE reader_of_access")


def test_the_token_comes_from_the_environment(postgres_url: str, shown: list[DataApiServer]) -> None:
    token = canary("a token of enough characters").replace(" ", "-")
    arguments = ["data-api", "--postgres", postgres_url, "--port", "0"]
    assert CliRunner().invoke(main, arguments, env={"GATA_DATA_API_TOKEN": token}).exit_code == 0
    assert shown[0].secret_key == token
    short = CliRunner().invoke(main, arguments, env={"GATA_DATA_API_TOKEN": "short"})
    assert short.exit_code == 2
    assert "20 to 200 characters" in short.output


def test_a_port_that_is_taken_is_an_error_in_words(postgres_url: str, server: DataApiServer) -> None:
    port = str(address(server)[1])
    ran = CliRunner().invoke(main, ["data-api", "--postgres", postgres_url, "--port", port])
    assert ran.exit_code == 1
    assert f"Port {port} of 127.0.0.1 cannot be listened on" in ran.output


def test_two_threads_that_hold_connections_do_not_block_a_third(server: DataApiServer) -> None:
    held = [socket.create_connection(address(server), timeout=20) for _ in range(8)]
    try:
        body = statement(server)
        results: list[tuple[int, str]] = []
        threads = [
            threading.Thread(target=lambda: results.append(send(server, sign(server, body), body))) for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert results == [ADMITTED] * 4
    finally:
        for client in held:
            client.close()


def _send_slowly(client: socket.socket, content: bytes) -> None:
    for byte in content:
        client.sendall(bytes([byte]))
        time.sleep(0.02)


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_database_that_never_answers_is_unavailable() -> None:
    with silent_server() as port:
        url = f"postgresql://user@127.0.0.1:{port}/gata?connect_timeout=1"
        with DataApiServer(url) as server:
            body = statement(server)
            assert send(server, sign(server, body), body) == ADMITTED
