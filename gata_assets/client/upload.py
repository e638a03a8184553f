"""The body of an upload, read from disk piece by piece: memory does not grow with the file."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

_PIECE_BYTES = 1 << 20


class Upload:
    """A file as multipart; `headers` say how large it is, so the service can refuse it before it is sent."""

    def __init__(self, path: Path, name: str) -> None:
        """Look at the file's size; raises OSError."""
        self._path = path
        boundary = uuid4().hex
        # As browsers escape it.
        shown = name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
        self._head = (
            f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{shown}"\r\n'
            "Content-Type: application/octet-stream\r\n\r\n"
        ).encode()
        self._tail = f"\r\n--{boundary}--\r\n".encode()
        self._size = path.stat().st_size
        self.headers = {
            "Content-Type": f"multipart/form-data; boundary={boundary}",
            "Content-Length": str(len(self._head) + self._size + len(self._tail)),
        }

    def body(self) -> Iterator[bytes]:
        """The pieces, from the beginning; raises OSError at once if the file cannot be opened or is another size."""
        file = self._path.open("rb")
        if os.fstat(file.fileno()).st_size != self._size:
            file.close()
            raise OSError(f"{self._path.name} changed while it was sent: send it again once it is complete.")

        def pieces() -> Iterator[bytes]:
            with file:
                yield self._head
                left = self._size
                while left and (piece := file.read(min(_PIECE_BYTES, left))):
                    left -= len(piece)
                    yield piece
                if left:
                    raise OSError(f"{self._path.name} became shorter while it was sent.")
                yield self._tail

        return pieces()
