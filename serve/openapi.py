"""The OpenAPI document, made from the operations and their types: it cannot say anything else than the code does."""

import re
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import msgspec

from serve import parameters
from serve import problem as problems
from serve.endpoint import JSON, Operation
from serve.links import links_from
from serve.personalizer.errors import status_told
from serve.personalizer.wire import ErrorResponse
from serve.problem import Kind, Problem

_REF = "#/components/schemas/{name}"
_PLACE = re.compile(r"\{(\w+)\}")


def document(operations: Sequence[Operation]) -> bytes:
    """JSON of OpenAPI 3.1."""
    types = [kind for o in operations for one in (*o.replies.values(), o.takes) for kind in one]
    schemas, components = msgspec.json.schema_components([*types, Problem, ErrorResponse], ref_template=_REF)
    schema_of = dict(zip(map(repr, types), schemas, strict=False))
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation, schema_of)
    return msgspec.json.encode(
        {
            "openapi": "3.1.0",
            "info": {"title": "Next best action", "version": _version(), "description": _DESCRIPTION},
            "paths": paths,
            "components": {"schemas": components, "securitySchemes": _SECURITY},
        }
    )


def _operation(operation: Operation, schema_of: dict[str, Any]) -> dict[str, Any]:
    said: dict[str, Any] = {"operationId": operation.name, "summary": operation.summary}
    if operation.scope:
        said["security"] = [{name: [operation.scope]} for name in _SECURITY]
    for name in _PLACE.findall(operation.path):
        said.setdefault("parameters", []).append(_parameter(name))
    for name, one in operation.query.items():
        said.setdefault("parameters", []).append(parameters.described(name, one))
    if operation.takes:
        content = _content(operation.takes, schema_of, operation.example, operation.examples)
        said["requestBody"] = {"required": True, "content": dict.fromkeys(operation.media_types, content)}
    main = next(iter(operation.replies))
    said["responses"] = {
        str(status): {
            "description": _success(status, operation),
            **(
                {
                    "content": {
                        operation.answers: _content(kinds, schema_of, operation.shows if status == main else None)
                    }
                }
                if kinds
                else {}
            ),
        }
        for status, kinds in operation.replies.items()
    } | _refusals(operation)
    if links := links_from(operation.name):
        said["responses"][str(main)]["links"] = links
    return said


def _content(
    kinds: Sequence[Any], schema_of: dict[str, Any], example: object, more: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """What a body may be; bytes are no JSON."""
    schema = {"type": "string", "format": "binary"} if kinds == (bytes,) else _one_of(kinds, schema_of)
    if more:
        return {
            "schema": schema,
            "examples": {name: {"value": one} for name, one in {"plain": example, **more}.items()},
        }
    return {"schema": schema} | ({} if example is None else {"example": example})


def _parameter(name: str) -> dict[str, Any]:
    return {
        "name": name,
        "in": "path",
        "required": True,
        "schema": {"type": "string", "minLength": 1, "maxLength": 256},
    }


def _one_of(kinds: Sequence[Any], schema_of: dict[str, Any]) -> dict[str, Any]:
    schemas = [schema_of[repr(kind)] for kind in kinds]
    return schemas[0] if len(schemas) == 1 else {"oneOf": schemas}


def _refusals(operation: Operation) -> dict[str, Any]:
    """Problems by status; several kinds of one status stand together."""
    kinds: list[Kind] = [*operation.refuses, problems.INTERNAL]
    if operation.takes:
        kinds += [problems.MALFORMED, problems.TOO_SLOW, problems.TOO_LARGE, problems.CONTENT_TYPE, problems.INVALID]
    if operation.query:
        kinds.append(problems.INVALID)
    if operation.scope:
        kinds += [problems.UNAUTHENTICATED, problems.FORBIDDEN, problems.TOO_MANY]
    if "{" in operation.path:
        kinds.append(problems.UNKNOWN_ID)
    told = status_told if operation.explain else None
    by_status: dict[int, list[Kind]] = {}
    for kind in dict.fromkeys(kinds):
        by_status.setdefault(told(kind.status) if told else kind.status, []).append(kind)
    return {str(status): _refusal(alike, as_error=told is not None) for status, alike in sorted(by_status.items())}


def _refusal(alike: Sequence[Kind], *, as_error: bool) -> dict[str, Any]:
    """One status. as_error: in Personalizer's form and not as a problem."""
    media, name = (JSON, "ErrorResponse") if as_error else (problems.MEDIA_TYPE, "Problem")
    said: dict[str, Any] = {
        "description": "; ".join(f"{kind.title} ({kind.name})" for kind in alike),
        "content": {media: {"schema": {"$ref": _REF.format(name=name)}}},
    }
    if any(kind.retry_after_s or kind is problems.TOO_MANY for kind in alike):
        seconds = {"type": "integer", "description": "Seconds after which to try again."}
        said["headers"] = {"Retry-After": {"schema": seconds}}
    return said


def _version() -> str:
    try:
        return version("bandit-nba")
    except PackageNotFoundError:
        return "0"


def _success(status: int, operation: Operation) -> str:
    known = status == 200 and 201 in operation.replies
    return "Known already; nothing new was kept" if known else _SUCCESS.get(status, "OK")


_SUCCESS = {
    200: "Done",
    201: "New, and on disk",
    204: "Done",
    207: "Some items were refused; each says why",
}
_SECURITY = {
    "key": {
        "type": "http",
        "scheme": "bearer",
        "description": "`nba keys create` makes one; needed once there is any.",
    },
    "subscriptionKey": {"type": "apiKey", "in": "header", "name": "Ocp-Apim-Subscription-Key"},
}
_DESCRIPTION = (
    "Decisions are logged durably with the probability with which they were chosen, before the answer leaves. "
    "Sending the same id with the same payload again is safe and gives the same bytes. "
    "Errors are application/problem+json."
)
