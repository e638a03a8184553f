"""An AWS server for tests (moto's) whose calls of Glue fail in turn as a test says, before or after they are done.

It also divides partitions into pages, as Glue does and moto does not.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

from werkzeug.wrappers import Request, Response

from gata_assets_tests.support.s3_server import S3Server


@dataclass
class GlueFaults:
    """Errors of the next calls by action, a call each; `before` is called with the action before each is done."""

    errors: dict[str, deque[str]] = field(default_factory=dict)
    are_done: bool = False
    page_size: int = 100
    before: Callable[[str], None] = lambda _: None
    actions: list[str] = field(default_factory=list)
    last_bodies: dict[str, Any] = field(default_factory=dict)


class FaultyGlue(S3Server):
    """The server of S3 and Glue, on a free port of loopback."""

    def __init__(self) -> None:
        super().__init__()
        self.faults = GlueFaults()

    def _answer(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        request = Request(environ)
        action = request.headers.get("X-Amz-Target", "").removeprefix("AWSGlue.")
        if action:
            body = request.get_data()
            environ["wsgi.input"] = BytesIO(body)
            self.faults.last_bodies[action] = json.loads(body)
            self.faults.actions.append(action)
            self.faults.before(action)
        if not self.faults.errors.get(action):
            if action == "GetPartitions":
                return self._page(environ, start_response)
            return super()._answer(environ, start_response)
        if self.faults.are_done:
            list(super()._answer(environ, lambda *_: None))
        code = self.faults.errors[action].popleft()
        status = 500 if code == "InternalServiceException" else 400
        body = json.dumps({"__type": code, "message": "as the test says"})
        return Response(body, status, content_type="application/x-amz-json-1.1")(environ, start_response)

    def _page(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        status: list[str] = []
        content = json.loads(b"".join(super()._answer(environ, lambda code, *_: status.append(code))))
        first = int(self.faults.last_bodies["GetPartitions"].get("NextToken", 0))
        if found := content.get("Partitions"):
            content = {"Partitions": found[first : first + self.faults.page_size]}
            if first + self.faults.page_size < len(found):
                content["NextToken"] = str(first + self.faults.page_size)
        kind = "application/x-amz-json-1.1"
        return Response(json.dumps(content), status[0], content_type=kind)(environ, start_response)
