"""What commands write to as if it were a terminal, without a pseudo-terminal and a process of its own."""

from __future__ import annotations

import io
import re


class Terminal(io.StringIO):
    """What a terminal is taken for by its one answer."""

    def isatty(self) -> bool:
        return True

    def text(self) -> str:
        """What was written, without colors and cursor movements."""
        return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", self.getvalue())
