"""Teaches Schemathesis to write lines of JSON; it imports this file by SCHEMATHESIS_HOOKS."""

from typing import Any

import msgspec
import schemathesis


@schemathesis.serializer("application/x-ndjson")
def lines_of_json(_: Any, value: Any) -> bytes:
    """A list by lines; whatever else as one line."""
    items = value if isinstance(value, list) else [value]
    return b"".join(msgspec.json.encode(item) + b"\n" for item in items)
