"""A door before a broker: it ends TLS, and demands a login; and certificates, which are made here.

Real: TLS, and the broker behind the door, which tells clients to come there. Faked: the login; the door answers the two
requests of Kafka's protocol that are about it, in the broker's place, with SCRAM as RFC 5802 has it.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import secrets
import ssl
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from threading import Event, Thread

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_HANDSHAKE, _API_VERSIONS, _AUTHENTICATE = 17, 18, 36
_UNSUPPORTED, _FAILED = 33, 58
_ITERATIONS = 4_096


@dataclass(frozen=True)
class Authority:
    """Signs certificates of brokers; `path` has its own, by which clients know it."""

    path: Path
    key: ec.EllipticCurvePrivateKey
    name: x509.Name

    def sign(self, *hosts: str) -> Path:
        """The file of a key and its certificate, for names or addresses."""
        key = ec.generate_private_key(ec.SECP256R1())
        names = [_general_name(host) for host in hosts]
        path = self.path.with_name(f"{self.path.stem}-{'-'.join(hosts)}.pem")
        unencrypted = serialization.NoEncryption()
        pem = serialization.Encoding.PEM
        builder = _builder("broker", self.name, key).add_extension(x509.SubjectAlternativeName(names), critical=False)
        signed = builder.sign(self.key, hashes.SHA256()).public_bytes(pem)
        path.write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, unencrypted) + signed)
        return path


def new_authority(directory: Path, name: str) -> Authority:
    """An authority that nobody knows yet."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    own = _builder(name, subject, key).add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    path = directory / f"{name}.pem"
    path.write_bytes(own.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    return Authority(path, key, subject)


def _builder(name: str, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
    )


def _general_name(host: str) -> x509.GeneralName:
    with suppress(ValueError):
        return x509.IPAddress(ip_address(host))
    return x509.DNSName(host)


@dataclass
class Login:
    """What the door demands; `answered` is whether each attempt was let in."""

    mechanism: str
    user: str
    password: str
    answered: list[bool] = field(default_factory=list)


@contextmanager
def door(port: int, broker_port: int, certificate: Path | None, login: Login | None = None) -> Iterator[None]:
    """Connections to `port` lead to a broker, by TLS if there is a certificate, and behind a login if there is one."""
    context = None
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
    loop, is_open = asyncio.new_event_loop(), Event()

    async def serve() -> None:
        async def come(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with suppress(OSError, asyncio.IncompleteReadError):
                await _lead(reader, writer, broker_port, login)
            writer.close()

        server = await asyncio.start_server(come, "127.0.0.1", port, ssl=context)
        is_open.set()
        with suppress(asyncio.CancelledError):
            await server.serve_forever()

    def run() -> None:
        # What a client that is refused leaves is no failure of a test.
        loop.set_exception_handler(lambda _loop, _context: None)
        loop.run_until_complete(task)
        for left in asyncio.all_tasks(loop):
            left.cancel()
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()

    task = loop.create_task(serve())
    thread = Thread(target=run, daemon=True)
    thread.start()
    assert is_open.wait(10)
    try:
        yield
    finally:
        loop.call_soon_threadsafe(task.cancel)
        thread.join()


async def _lead(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, broker_port: int, login: Login | None
) -> None:
    from_broker, to_broker = await asyncio.open_connection("127.0.0.1", broker_port)
    try:
        if login is None or await _let_in(reader, writer, from_broker, to_broker, login):
            await asyncio.gather(_pump(reader, to_broker), _pump(from_broker, writer))
    finally:
        to_broker.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.close()


async def _frame(reader: asyncio.StreamReader) -> bytes:
    [size] = struct.unpack(">i", await reader.readexactly(4))
    if not 0 <= size < 1 << 20:
        raise ConnectionError("no request of Kafka's protocol")
    return await reader.readexactly(size)


async def _let_in(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    from_broker: asyncio.StreamReader,
    to_broker: asyncio.StreamWriter,
    login: Login,
) -> bool:
    """Answer what a client may ask before it has logged in, and whether it has."""
    exchange = _Plain(login) if login.mechanism == "PLAIN" else _Scram(login)
    while True:
        request = await _frame(reader)
        api, version, number, name_size = struct.unpack(">hhih", request[:10])
        body = request[10 + max(name_size, 0) :]
        if api == _API_VERSIONS:
            to_broker.write(struct.pack(">i", len(request)) + request)
            answer = await _frame(from_broker)
        elif api == _HANDSHAKE:
            is_known = body[2:].decode() == login.mechanism
            error = 0 if is_known else _UNSUPPORTED
            answer = struct.pack(">ihi", number, error, 1) + _string(login.mechanism)
        elif api == _AUTHENTICATE and version in (0, 1):
            said = exchange.answer(body[4:])
            error, reason = (0, b"\xff\xff") if said is not None else (_FAILED, _string("Authentication failed"))
            answer = struct.pack(">ih", number, error) + reason + struct.pack(">i", len(said or b"")) + (said or b"")
            answer += struct.pack(">q", 0) if version else b""
        else:
            return False
        writer.write(struct.pack(">i", len(answer)) + answer)
        await writer.drain()
        if api == _AUTHENTICATE and (said is None or exchange.is_done):
            login.answered.append(said is not None)
            return said is not None


def _string(text: str) -> bytes:
    return struct.pack(">h", len(text)) + text.encode()


class _Plain:
    def __init__(self, login: Login) -> None:
        self._login, self.is_done = login, True

    def answer(self, said: bytes) -> bytes | None:
        is_right = said == f"\0{self._login.user}\0{self._login.password}".encode()
        return b"" if is_right else None


class _Scram:
    """As https://www.rfc-editor.org/rfc/rfc5802#section-3 has it."""

    def __init__(self, login: Login) -> None:
        self._login, self.is_done = login, False
        self._hash = login.mechanism.removeprefix("SCRAM-").replace("-", "").lower()
        self._salt, self._first, self._nonce = secrets.token_bytes(16), "", ""

    def answer(self, said: bytes) -> bytes | None:
        """What the server says; None refuses."""
        if not self._first:
            bare = said.decode().removeprefix("n,,")
            fields = dict(part.split("=", 1) for part in bare.split(","))
            self._nonce = fields["r"] + secrets.token_hex(12)
            salt = base64.b64encode(self._salt).decode()
            own = f"r={self._nonce},s={salt},i={_ITERATIONS}"
            self._first = f"{bare},{own}"
            return own.encode() if fields["n"] == self._login.user else None
        self.is_done = True
        bare, _, proof = said.decode().rpartition(",p=")
        salted = hashlib.pbkdf2_hmac(self._hash, self._login.password.encode(), self._salt, _ITERATIONS)
        key, message = self._hmac(salted, "Client Key"), f"{self._first},{bare}"
        signature = self._hmac(hashlib.new(self._hash, key).digest(), message)
        expected = bytes(a ^ b for a, b in zip(key, signature, strict=True))
        if base64.b64decode(proof) != expected or f"r={self._nonce}" not in bare:
            return None
        return b"v=" + base64.b64encode(self._hmac(self._hmac(salted, "Server Key"), message))

    def _hmac(self, key: bytes, text: str) -> bytes:
        return hmac.digest(key, text.encode(), self._hash)
