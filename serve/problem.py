"""Every refusal as application/problem+json (RFC 9457), with a hint where one is known."""

import re
from dataclasses import dataclass
from typing import Annotated

import msgspec
from msgspec import Meta

from bandit_nba.errors import (
    IdConflictError,
    InputError,
    NbaError,
    RefusedError,
    StoreBusyError,
    StoreError,
    UnknownIdError,
)
from serve.wrong_body import WrongBody

MEDIA_TYPE = "application/problem+json"
BUSY_RETRY_S = 1
STORE_RETRY_S = 5

_AT = re.compile(r" - at `\$?\.?(?P<at>[^`]*)`$")
_NO_JSON = re.compile("out of range|invalid character")
_UNKNOWN_FIELD = re.compile(r"unknown field `(?P<name>[^`]*)`")
_PATTERN = re.compile(r"^Expected `str` matching regex ")
_KEY = re.compile(r"nba_[0-9a-f]{12}_[A-Za-z0-9_-]{20,}")  # whoever sent one in the wrong place may log our answer
_OF_PEOPLE = re.compile(r"(^|\.)(customerId|employeeId)$")


class Problem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What went wrong, in words for people (`title`, `detail`, `hint`) and fields for machines."""

    type: Annotated[str, Meta(description="urn:nba:problem:NAME; the name never changes.")]
    title: str
    status: int
    detail: str = ""
    hint: str = ""
    where: str = ""
    got: str = ""
    allowed: str = ""


@dataclass(frozen=True)
class Kind:
    """One way to refuse: its name in the problem's type, its status, and after how long to try again (0: don't)."""

    name: str
    status: int
    title: str
    retry_after_s: int = 0


MALFORMED = Kind("malformed-body", 400, "The body cannot be read")
UNAUTHENTICATED = Kind("unauthenticated", 401, "This is not open to everybody")
FORBIDDEN = Kind("forbidden", 403, "The key does not open this")
TOO_MANY = Kind("too-many-calls", 429, "The key has no calls left for now")
UNKNOWN_ID = Kind("unknown-id", 404, "There is no such thing")
NO_ROUTE = Kind("no-route", 404, "There is nothing at this address")
METHOD = Kind("method-not-allowed", 405, "The address does not take this method")
TOO_SLOW = Kind("body-too-slow", 408, "The body did not arrive in time")
REFUSED = Kind("refused", 409, "This cannot be done any more")
TOO_LARGE = Kind("body-too-large", 413, "The body is too large")
CONTENT_TYPE = Kind("content-type", 415, "The body is of another kind")
INVALID = Kind("invalid-value", 422, "A value is not allowed")
CONFLICT = Kind("id-conflict", 422, "The id is known with another payload")
INTERNAL = Kind("internal", 500, "The service failed")
BUSY = Kind("busy", 503, "The service is busy", BUSY_RETRY_S)
NO_STORE = Kind("store-unavailable", 503, "The service cannot store anything now", STORE_RETRY_S)
OF_STORE = (BUSY, NO_STORE)

# The first match counts: a subclass stands before its base.
_KINDS: tuple[tuple[type[Exception], Kind], ...] = (
    (IdConflictError, CONFLICT),
    (UnknownIdError, UNKNOWN_ID),
    (InputError, INVALID),
    (RefusedError, REFUSED),
    (StoreBusyError, BUSY),
    (StoreError, NO_STORE),
    (msgspec.ValidationError, INVALID),
    (msgspec.DecodeError, MALFORMED),
    (UnicodeError, MALFORMED),
    (RecursionError, MALFORMED),
)


def kind_of(error: BaseException) -> Kind:
    """How `error` is refused; whatever is not foreseen is the service's own failure."""
    for known, kind in _KINDS:
        if isinstance(error, known):
            return kind
    return INTERNAL


def problem_of(error: BaseException) -> Problem:
    """`error` in words; an unforeseen one says nothing of its inside."""
    kind = kind_of(error)
    if kind is INTERNAL:
        return problem(kind, "an unexpected error, which the service's log explains")
    if isinstance(error, NbaError):
        # Where the store is on disk is the operator's to know, not the caller's; the log says it.
        where, what = ("", kind.title) if isinstance(error, StoreError) else (error.where, error.what)
        got = "" if error.got is None else _short(repr(error.got))
        hint = "the same request may be sent again" if isinstance(error, StoreError) else error.hint
        return problem(kind, what, where=where, got=got, allowed=error.allowed, hint=hint)
    return _decoding_problem(kind, error)


def problem(kind: Kind, detail: str, *, hint: str = "", where: str = "", got: str = "", allowed: str = "") -> Problem:
    """A problem of `kind`. No key is told back, and no customer's or employee's id: answers are logged by callers."""
    return Problem(
        type=f"urn:nba:problem:{kind.name}",
        title=kind.title,
        status=kind.status,
        detail=_KEY.sub("nba_...", detail),
        hint=hint,
        where=_short(_KEY.sub("nba_...", where)),
        got="" if _OF_PEOPLE.search(where) else _KEY.sub("nba_...", got),
        allowed=allowed,
    )


def _decoding_problem(kind: Kind, error: BaseException) -> Problem:
    """msgspec's message, taken apart: "Expected `str`, got `int` - at `$.channel`"."""
    if isinstance(error, UnicodeError):
        return problem(kind, "the body is not valid UTF-8")
    if isinstance(error, RecursionError):
        return problem(kind, "the body is nested too deeply")
    if isinstance(error, WrongBody):
        return problem(kind, error.what, where=error.where, got=error.got, allowed=error.allowed, hint=error.hint)
    text = str(error)
    at = _AT.search(text)
    where = at["at"] if at else ""
    what = text[: at.start()] if at else text
    if _PATTERN.match(what):
        return problem(kind, "holds a control character", where=where, allowed="text without control characters")
    unknown = _UNKNOWN_FIELD.search(what)
    if unknown:
        where = f"{where}.{unknown['name']}".removeprefix(".")
    hint = "the body must be JSON, its numbers finite: no NaN, Infinity or 1e400" if _NO_JSON.search(what) else ""
    what = what if what.startswith("JSON") else what[:1].lower() + what[1:]
    return problem(kind, what, where=where, hint=hint)


def _short(text: str) -> str:
    return text if len(text) <= 200 else text[:197] + "..."
