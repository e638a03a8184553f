"""Who may call the local Data API: the head of a request before its body is read, then its SigV4 signature.

Every web page of a developer's browser can send requests to a port on loopback, also under a name of its own (DNS
rebinding). So a request needs what no page has: the secret key, by which boto3 signs. No socket belongs here (`http`).
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Set
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.message import Message
from hashlib import sha256
from secrets import token_urlsafe

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from gata_assets.sandbox.data_api.sql import DataApiError, bad_request

ACCESS_KEY_ID = "gata-local"
# The documented limit of a request.
REQUEST_LIMIT_BYTES = 4 * 1024 * 1024
# As AWS has it.
MAX_SKEW = timedelta(minutes=15)

_LOOPBACK_NAMES = ("127.0.0.1", "localhost", "[::1]")
_HTTP_PORT = 80
# The service of a path and the content type of its requests; all others belong to rds-data.
_SECRETS_PATH = "/"
_SECRETS_TYPE, _DATA_TYPE = "application/x-amz-json-1.1", "application/json"
_REQUIRED_SIGNED = frozenset({"host", "x-amz-date", "content-type"})
_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<key>[^/,\s]{1,128})/(?P<day>[0-9]{8})/(?P<region>[a-z0-9-]{1,40})"
    r"/(?P<service>[a-z-]{1,40})/aws4_request,\s*SignedHeaders=(?P<names>[a-z0-9;-]{1,1000}),"
    r"\s*Signature=(?P<signature>[0-9a-f]{64})"
)
_LENGTH = re.compile(r"[0-9]{1,12}")
_ADVICE = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY as `gata data-api` printed them"


def new_secret_key() -> str:
    """A secret key that nobody guesses."""
    return token_urlsafe(32)


def loopback_hosts(port: int) -> set[str]:
    """The Host headers by which clients of this machine call a server on that port."""
    names = {f"{name}:{port}" for name in _LOOPBACK_NAMES}
    return names | set(_LOOPBACK_NAMES) if port == _HTTP_PORT else names


@dataclass(frozen=True)
class Access:
    """The rules of admission: the secret key of the clients, and the Host headers that are answered (None: all)."""

    secret_key: str = field(repr=False)
    hosts: Set[str] | None

    def admit(self, path: str, headers: Message) -> int:
        """Check a request by its head alone; returns the length of its body.

        Raises:
            DataApiError: The body must not be read, and the connection is to be closed.
        """
        if any(name.lower() == "origin" or name.lower().startswith("sec-fetch-") for name in headers):
            raise _denied("A browser's request (it has Origin or Sec-Fetch-…) is not answered here")
        hosts = headers.get_all("Host", [])
        if len(hosts) != 1 or (self.hosts is not None and hosts[0].strip().lower() not in self.hosts):
            raise _denied("The Host header is not this server's address on loopback")
        wanted = _SECRETS_TYPE if path == _SECRETS_PATH else _DATA_TYPE
        types = headers.get_all("Content-Type", [])
        if len(types) != 1 or types[0].partition(";")[0].strip().lower() != wanted:
            raise bad_request(f"The Content-Type must be {wanted}")
        length = _length(headers)
        self._claims(path, headers)
        return length

    def verify(self, method: str, path: str, headers: Message, body: bytes) -> None:
        """Sign the request again with the secret key; raises DataApiError if the client's signature is another."""
        claims = self._claims(path, headers)
        signed = claims["names"].split(";")
        # The address is not used: the Host header is among those that are signed.
        request = AWSRequest(method, "http://localhost" + path, data=body)
        for name in signed:
            for value in headers.get_all(name, []):
                request.headers.add_header(name, value)
        request.context["timestamp"] = headers["X-Amz-Date"]
        digest = request.headers.get("X-Amz-Content-SHA256")
        signer = SigV4Auth(Credentials(ACCESS_KEY_ID, self.secret_key), claims["service"], claims["region"])
        canonical = signer.canonical_request(request)
        expected = signer.signature(signer.string_to_sign(request, canonical), request)
        is_own_digest = digest is None or hmac.compare_digest(digest.encode(), sha256(body).hexdigest().encode())
        if not (hmac.compare_digest(expected, claims["signature"]) and is_own_digest):
            raise DataApiError(
                "InvalidSignatureException", f"The signature is not that of this server's secret key: {_ADVICE}"
            )

    def _claims(self, path: str, headers: Message) -> dict[str, str]:
        """The parts of the Authorization header, once all but the signature is right."""
        found = headers.get_all("Authorization", [])
        if not found:
            raise DataApiError("MissingAuthenticationTokenException", f"The request is not signed: {_ADVICE}")
        parts = _AUTHORIZATION.fullmatch(found[0].strip()) if len(found) == 1 else None
        dates = headers.get_all("X-Amz-Date", [])
        if parts is None or len(dates) != 1 or not set(parts["names"].split(";")) >= _REQUIRED_SIGNED:
            raise DataApiError(
                "IncompleteSignatureException",
                f"The request is not signed by AWS Signature Version 4 with {', '.join(sorted(_REQUIRED_SIGNED))}",
            )
        service = "secretsmanager" if path == _SECRETS_PATH else "rds-data"
        if not hmac.compare_digest(parts["key"].encode(), ACCESS_KEY_ID.encode()) or parts["service"] != service:
            raise DataApiError(
                "UnrecognizedClientException", f"The access key is not that of this server for {service}: {_ADVICE}"
            )
        if _skew(dates[0]) > MAX_SKEW or dates[0][:8] != parts["day"]:
            raise DataApiError("InvalidSignatureException", "The signature's time is not within 15 minutes of now")
        return parts.groupdict()


def _length(headers: Message) -> int:
    lengths = headers.get_all("Content-Length", [])
    if headers.get("Transfer-Encoding") is not None or len(lengths) != 1 or not _LENGTH.fullmatch(lengths[0].strip()):
        raise bad_request("The request needs one Content-Length, a number of bytes")
    if int(lengths[0]) > REQUEST_LIMIT_BYTES:
        raise bad_request("The request is larger than 4 MiB")
    return int(lengths[0])


def _skew(at: str) -> timedelta:
    try:
        signed_at = datetime.strptime(at, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        return timedelta.max
    return abs(datetime.now(UTC) - signed_at)


def _denied(message: str) -> DataApiError:
    return DataApiError("AccessDeniedException", message)
