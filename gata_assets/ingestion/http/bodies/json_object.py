"""A body that is one JSON object of a declared type."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from gata_assets.ingestion.http.bodies.json_lines import TOO_DEEP, not_json
from gata_assets.ingestion.http.problems import Problem

T = TypeVar("T", bound=msgspec.Struct)


def object_of(body: bytes, type_: type[T], needed: str) -> T:
    """The object of a body; raises Problem, which says what is `needed`, without a word of the body."""
    try:
        return msgspec.json.decode(body, type=type_)
    except RecursionError:
        raise Problem(400, "malformed", TOO_DEEP) from None
    except msgspec.ValidationError:
        raise Problem(422, "malformed", needed) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Problem(400, "malformed", not_json(error)) from None
