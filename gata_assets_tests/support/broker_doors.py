"""A door before a broker: it ends TLS, and demands a login; and certificates, which are made here.

Real: TLS, and the broker behind the door, which tells clients to come there. Faked: the login; the door answers the two
requests of Kafka's protocol that are about it, in the broker's place, with SCRAM as RFC 5802 has it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import select
import socket
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
# For a handshake or an answer, and between two looks at whether the door is to be closed.
_PATIENCE_SECONDS, _LOOK_SECONDS = 10, 0.1


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
    """Connections to `port` lead to a broker, by TLS if there is a certificate, and behind a login if there is one.

    Each is led by a thread of its own; all have ended, and all sockets are closed, when the context ends.
    """
    context = None
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
    is_ending, threads = Event(), list[Thread]()

    def come(accepted: socket.socket) -> None:
        # What a client that is refused leaves is no failure of a test; ssl's errors are OSErrors.
        with accepted, suppress(OSError):
            accepted.settimeout(_PATIENCE_SECONDS)
            with context.wrap_socket(accepted, server_side=True) if context else accepted as client:
                _lead(client, broker_port, login, is_ending)

    def accept() -> None:
        while not is_ending.is_set():
            with suppress(TimeoutError):
                accepted, _ = listener.accept()
                threads.append(Thread(target=come, args=[accepted]))
                threads[-1].start()

    with socket.create_server(("127.0.0.1", port)) as listener:
        listener.settimeout(_LOOK_SECONDS)
        accepting = Thread(target=accept)
        accepting.start()
        try:
            yield
        finally:
            is_ending.set()
            accepting.join()
            for thread in threads:
                thread.join()


def _lead(client: socket.socket, broker_port: int, login: Login | None, is_ending: Event) -> None:
    with socket.create_connection(("127.0.0.1", broker_port), timeout=_PATIENCE_SECONDS) as broker:
        if login is None or _let_in(client, broker, login, is_ending):
            while not is_ending.is_set():
                for source in _readable(client, broker):
                    data = source.recv(65_536)
                    if not data:
                        return
                    (broker if source is client else client).sendall(data)


def _readable(*sockets: socket.socket) -> list[socket.socket]:
    """Those that have something, if one has within a moment: what TLS has decrypted already no system call knows of."""
    waiting = [one for one in sockets if isinstance(one, ssl.SSLSocket) and one.pending()]
    return waiting or select.select(sockets, [], [], _LOOK_SECONDS)[0]


def _read(source: socket.socket, size: int, is_ending: Event) -> bytes:
    """So many bytes; raises ConnectionError if they do not come."""
    data = b""
    while len(data) < size and not is_ending.is_set():
        if _readable(source):
            more = source.recv(size - len(data))
            if not more:
                break
            data += more
    if len(data) < size:
        raise ConnectionError("the client is gone")
    return data


def _frame(source: socket.socket, is_ending: Event) -> bytes:
    [size] = struct.unpack(">i", _read(source, 4, is_ending))
    if not 0 <= size < 1 << 20:
        raise ConnectionError("no request of Kafka's protocol")
    return _read(source, size, is_ending)


def _let_in(client: socket.socket, broker: socket.socket, login: Login, is_ending: Event) -> bool:
    """Answer what a client may ask before it has logged in, and whether it has."""
    exchange = _Plain(login) if login.mechanism == "PLAIN" else _Scram(login)
    while True:
        request = _frame(client, is_ending)
        api, version, number, name_size = struct.unpack(">hhih", request[:10])
        body = request[10 + max(name_size, 0) :]
        if api == _API_VERSIONS:
            broker.sendall(struct.pack(">i", len(request)) + request)
            answer = _frame(broker, is_ending)
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
        client.sendall(struct.pack(">i", len(answer)) + answer)
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
