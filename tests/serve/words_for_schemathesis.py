"""Teaches Schemathesis what the schemas cannot tell; it imports this file by SCHEMATHESIS_HOOKS.

Lines of JSON; and the workspace's own words, since a channel or a type is text to the schema: without them hardly any
decision would ever be made, and no link of the document that starts at one would be followed.
"""

import zlib
from typing import Any

import msgspec
import schemathesis
from schemathesis.specs.openapi import stateful

CHANNEL, OUTCOME = "web", "reward"
_AS_GENERATED = 4
"""One body out of so many stays as it came."""
_SOUND = ("decisionId", "customerId", "deferActivation", "topK")
"""What of a request for a decision fits together, whatever its values."""


@schemathesis.serializer("application/x-ndjson")
def lines_of_json(_: Any, value: Any) -> bytes:
    """A list by lines; whatever else as one line."""
    items = value if isinstance(value, list) else [value]
    return b"".join(msgspec.json.encode(item) + b"\n" for item in items)


@schemathesis.hook
def map_body(context: Any, body: Any) -> Any:
    """Most bodies with words that the workspace knows."""
    if zlib.crc32(repr(body).encode()) % _AS_GENERATED == 0:
        return body
    return (
        [_spoken(context.operation.path, item) for item in body]
        if isinstance(body, list)
        else _spoken(context.operation.path, body)
    )


def _spoken(path: str, item: Any) -> Any:
    if not isinstance(item, dict):
        return item
    if path in ("/v1/decisions", "/v1/decisions/batch"):
        return {"channel": CHANNEL, **{name: item[name] for name in _SOUND if name in item}}
    if path == "/v1/outcomes":
        return {**item, "type": OUTCOME}
    if path in ("/v1/events", "/v1/customers"):
        return {**item, "facts": {}, **({"decide": {"channel": CHANNEL}} if item.get("decide") else {})}
    return item


def _may_begin(operation: Any, *_: Any) -> bool:
    """Chains begin at every decision, too: `customerId` looks like the id of something that must be made first."""
    return operation.method == "post" or (operation.method == "get" and not operation.path_parameters)


stateful.is_likely_root_transition = _may_begin
