"""Pages: a JSON array or lines of JSON, read item by item, so that one bad item loses no other."""

from typing import Generic, TypeVar

import msgspec

from serve import problem as problems
from serve.endpoint import NDJSON, Call
from serve.refusal import refused
from serve.wire import MAX_PAGE

T = TypeVar("T")

_ARRAY = msgspec.json.Decoder(list[msgspec.Raw])


class PageReader(Generic[T]):
    """Reads pages of `kind`, at most `MAX_PAGE` items each."""

    def __init__(self, kind: type[T]) -> None:
        self._item = msgspec.json.Decoder(kind)

    def read(self, call: Call) -> list[T | msgspec.ValidationError]:
        """The items in order; one that is not valid holds its error in its place.

        Raises
        ------
        msgspec.DecodeError
            If the body is not JSON at all: then nothing of it is taken.
        Refused
            If the page is empty or too long, or the caller's key has not that many calls left.
        """
        raws = _lines(call.body) if call.media_type == NDJSON else _ARRAY.decode(call.body)
        if not 1 <= len(raws) <= MAX_PAGE:
            detail = f"a page holds 1 to {MAX_PAGE:,} items; this one has {len(raws):,}"
            raise refused(problems.INVALID, detail, hint="send several pages")
        call.caller.charge(len(raws) - 1)
        return [self._read_item(raw) for raw in raws]

    def _read_item(self, raw: msgspec.Raw | bytes) -> T | msgspec.ValidationError:
        try:
            return self._item.decode(raw)
        except msgspec.ValidationError as error:
            return error


def _lines(body: bytes) -> list[bytes]:
    return [line for line in body.splitlines() if line.strip()]
