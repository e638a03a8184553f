"""The proxy before UI and service. Real: nginx with deploy/proxy/nginx.conf, TLS, and Dagster's webserver behind it.

In the place of the service a socket shows when its bytes come. Changed in the file: the port, the places of certificate
and passwords, and the ports behind it. Needs nginx and openssl, and is skipped where they are not.
"""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from socket import create_connection, create_server, socket
from time import sleep
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from gata_assets_tests.support.loopback import free_port

CONFIGURATION = Path(__file__).parents[2] / "deploy" / "proxy" / "nginx.conf"
NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
GOOD = {"Authorization": f"Basic {base64.b64encode(b'ana:a good password').decode()}"}
SERVICE_NAME = "ingest.example.com"
BAD = {"Authorization": f"Basic {base64.b64encode(b'ana:a bad password').decode()}"}

pytestmark = pytest.mark.skipif(not (NGINX and shutil.which("openssl")), reason="nginx or openssl is not installed")


@dataclass(frozen=True)
class Proxy:
    """The proxy, and whom it is trusted by."""

    port: int
    certificate: Path
    behind: socket

    def get(self, path: str, headers: dict[str, str]) -> tuple[int, str]:
        """Status and body."""
        request = Request(f"https://localhost:{self.port}{path}", headers=headers)
        try:
            with urlopen(request, context=self.trust(), timeout=120) as answer:
                return answer.status, answer.read().decode()
        except HTTPError as error:
            with error:
                return error.code, ""

    def trust(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.certificate))

    def subscribe(self, headers: dict[str, str]) -> tuple[str, str]:
        """The status line of an upgrade to a websocket, and what the webserver says when it is greeted there."""
        lines = [
            "GET /graphql HTTP/1.1",
            "Host: localhost",
            "Connection: Upgrade",
            "Upgrade: websocket",
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
            "Sec-WebSocket-Protocol: graphql-ws",
            *(f"{name}: {value}" for name, value in headers.items()),
        ]
        greeting = json.dumps({"type": "connection_init", "payload": {}}).encode()
        with (
            create_connection(("localhost", self.port), timeout=120) as plain,
            self.trust().wrap_socket(plain, server_hostname="localhost") as wire,
        ):
            wire.sendall("\r\n".join([*lines, "", ""]).encode())
            status = wire.recv(4_096).decode().splitlines()[0]
            if " 101 " not in status:
                return status, ""
            # One text frame, masked with zeros as a client has to.
            wire.sendall(bytes([0x81, 0x80 | len(greeting)]) + bytes(4) + greeting)
            return status, wire.recv(4_096).decode(errors="replace")

    def send(self, path: str, size: int) -> ssl.SSLSocket:
        """A request to the service whose body has so many bytes, none of which is sent yet."""
        plain = create_connection(("localhost", self.port), timeout=60)
        wire = self.trust().wrap_socket(plain, server_hostname=SERVICE_NAME)
        wire.sendall(f"POST {path} HTTP/1.1\r\nHost: {SERVICE_NAME}\r\nContent-Length: {size}\r\n\r\n".encode())
        return wire


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    """The nginx before a webserver without any code."""
    directory = tmp_path_factory.mktemp("proxy")
    port, webserver_port = free_port(), free_port()
    certificate, key, passwords = (directory / f"gata.{end}" for end in ("crt", "key", "htpasswd"))
    request = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    places = [
        "-addext",
        f"subjectAltName=DNS:localhost,DNS:{SERVICE_NAME}",
        "-keyout",
        str(key),
        "-out",
        str(certificate),
    ]
    subprocess.run([*request, *places], check=True, capture_output=True)
    hashed = subprocess.run(
        ["openssl", "passwd", "-apr1", "a good password"], check=True, capture_output=True, text=True
    ).stdout
    passwords.write_text(f"ana:{hashed}")
    text = CONFIGURATION.read_text().replace("/etc/nginx", str(directory))
    text = text.replace("listen 443 ssl", f"listen 127.0.0.1:{port} ssl")
    text = text.replace("http://127.0.0.1:3000", f"http://127.0.0.1:{webserver_port}")
    behind = create_server(("127.0.0.1", 0))
    behind.settimeout(60)
    text = text.replace("http://127.0.0.1:8002", f"http://127.0.0.1:{behind.getsockname()[1]}")
    (directory / "gata.conf").write_text(text)
    (directory / "nginx.conf").write_text(
        # Workers of root's nginx are somebody else, who may not read root's temporary directories.
        ("user root;\n" if os.geteuid() == 0 else "")
        + f"daemon off; pid {directory}/pid; error_log {directory}/error.log;\n"
        + "events {}\nhttp {\n  access_log off;\n"
        + "".join(
            f"  {place}_temp_path {directory}/{place};\n"
            for place in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        + f"  include {directory}/gata.conf;\n}}\n"
    )
    home = directory / "home"
    home.mkdir()
    environment = {**os.environ, "DAGSTER_HOME": str(home), "DAGSTER_DISABLE_TELEMETRY": "1"}
    webserver = [str(Path(sys.executable).parent / "dagster-webserver"), "--empty-workspace", "-h", "127.0.0.1"]
    started = [
        subprocess.Popen([*webserver, "-p", str(webserver_port)], env=environment, stderr=subprocess.DEVNULL),
        subprocess.Popen([NGINX or "", "-c", str(directory / "nginx.conf"), "-e", str(directory / "error.log")]),
    ]
    try:
        proxy = Proxy(port, certificate, behind)
        for _ in range(300):
            with suppress(OSError):
                if proxy.get("/server_info", GOOD)[0] == 200:
                    break
            sleep(0.1)
        yield proxy
    finally:
        for process in started:
            process.terminate()
            process.wait(20)
        behind.close()


@pytest.mark.process
def test_nobody_gets_in_without_the_password(proxy: Proxy) -> None:
    for path in ("/", "/graphql", "/server_info"):
        assert proxy.get(path, {})[0] == 401
        assert proxy.get(path, BAD)[0] == 401


@pytest.mark.process
def test_with_the_password_the_ui_is_there(proxy: Proxy) -> None:
    status, body = proxy.get("/server_info", GOOD)
    assert status == 200 and "dagster_webserver_version" in body
    assert "<html" in proxy.get("/", GOOD)[1]


@pytest.mark.process
def test_a_subscription_upgrades_to_a_websocket_for_whoever_may(proxy: Proxy) -> None:
    status, said = proxy.subscribe(GOOD)
    assert " 101 " in status
    assert "connection_ack" in said
    assert " 401 " in proxy.subscribe({})[0]


@pytest.mark.process
def test_a_file_is_handed_on_while_it_arrives_whatever_its_size(proxy: Proxy) -> None:
    # More than what nginx takes by default (1 MB), and than what fits into buffers on the way.
    size = 64_000_000
    with proxy.send("/internal/data/upload-csv", size) as wire, closing(proxy.behind.accept()[0]) as service:
        service.settimeout(60)
        wire.sendall(b"x" * 1_000)
        received = b""
        while b"x" * 1_000 not in received:
            received += service.recv(65_536)
        assert f"Content-Length: {size}".encode() in received
        assert b"X-Forwarded-For: 127.0.0.1" in received
        service.sendall(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        assert wire.recv(1_000).startswith(b"HTTP/1.1 413")


@pytest.mark.process
def test_metrics_are_not_for_those_outside(proxy: Proxy) -> None:
    with proxy.send("/metrics", 0) as wire:
        assert wire.recv(1_000).startswith(b"HTTP/1.1 404")


def test_the_password_is_not_handed_on() -> None:
    assert re.search(r'proxy_set_header\s+Authorization\s+"";', CONFIGURATION.read_text())
