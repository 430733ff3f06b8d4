"""Pages of a list, newest first: where the next one begins travels with the client, as a word that it cannot read.

A cursor names the last item that was given, not a count of them: what is added meanwhile moves nothing.
"""

import base64
import binascii
from collections.abc import Sequence
from typing import TypeVar

import msgspec

from bandit_nba.errors import InputError
from serve.endpoint import Call
from serve.parameters import Free, Parameters

T = TypeVar("T")

MOST = 500
PAGING: Parameters = {
    "limit": Free(kind="integer", default="50", low=1, high=MOST, says="At most so many items."),
    "cursor": Free(says="The `nextCursor` of the page before."),
}


def limit_of(call: Call) -> int:
    """How many items are wanted."""
    return int(call.query["limit"])


def position(call: Call, kind: type[T]) -> T | None:
    """What the cursor names; None for the first page.

    Raises
    ------
    InputError
        If it is none that this list has given.
    """
    sent = call.query["cursor"]
    if not sent:
        return None
    try:
        return msgspec.json.decode(base64.urlsafe_b64decode(sent + "=" * (-len(sent) % 4)), type=kind)
    except (binascii.Error, ValueError, UnicodeError, msgspec.DecodeError, RecursionError):
        hint = "send a page's nextCursor as it is"
        raise InputError("is no cursor of this list", where="cursor", got=sent[:100], hint=hint) from None


def cut(found: Sequence[T], limit: int) -> tuple[Sequence[T], bool]:
    """The page out of `limit` + 1 items that were asked for, and whether there are more."""
    return found[:limit], len(found) > limit


def cursor(at: object) -> str:
    """The word for the item that the next page comes after."""
    return base64.urlsafe_b64encode(msgspec.json.encode(at)).rstrip(b"=").decode()
