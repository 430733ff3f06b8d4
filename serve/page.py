"""Pages: a JSON array or lines of JSON, read item by item, so that one bad item loses no other."""

from typing import Generic, TypeVar

import msgspec

from serve import problem as problems
from serve.endpoint import JSON, NDJSON, Call
from serve.refusal import refused
from serve.wire import MAX_PAGE
from serve.wrong_body import told

T = TypeVar("T")

_ARRAY = msgspec.json.Decoder(list[msgspec.Raw])
_QUICK_BYTES = 2**20
"""Longer bodies are counted before their items are read: a page that is too long costs no more than it must."""


class PageReader(Generic[T]):
    """Reads pages of `kind`, at most `MAX_PAGE` items each."""

    def __init__(self, kind: type[T]) -> None:
        self._kind = kind
        self._item = msgspec.json.Decoder(kind)
        self._whole = msgspec.json.Decoder(list[kind])  # type: ignore[valid-type] # a type at run time

    def read(self, call: Call) -> list[T | msgspec.ValidationError]:
        """The items in order; one that is not valid holds its error in its place.

        Raises
        ------
        msgspec.DecodeError
            If the body is not JSON at all: then nothing of it is taken.
        Refused
            If the page is empty or too long, or the caller's key has not that many calls left.
        """
        if call.media_type == JSON and len(call.body) <= _QUICK_BYTES:
            try:  # nearly always all are valid
                items = self._whole.decode(call.body)
            except msgspec.ValidationError:
                return self._read_each(call)
            _charge(call, len(items))
            return items
        return self._read_each(call)

    def _read_each(self, call: Call) -> list[T | msgspec.ValidationError]:
        if call.media_type == NDJSON:
            return self._read_lines(call)
        raws = _ARRAY.decode(call.body)
        _charge(call, len(raws))
        return [self._read_item(raw) for raw in raws]

    def _read_lines(self, call: Call) -> list[T | msgspec.ValidationError]:
        lines = [(n, line) for n, line in enumerate(call.body.splitlines(), start=1) if line.strip()]
        _charge(call, len(lines))
        items = []
        for n, line in lines:
            try:
                items.append(self._read_item(line))
            except msgspec.DecodeError as error:
                raise refused(problems.MALFORMED, f"line {n} is no JSON: {error}", hint=_ONE_A_LINE) from None
        return items

    def _read_item(self, raw: msgspec.Raw | bytes) -> T | msgspec.ValidationError:
        try:
            return self._item.decode(raw)
        except msgspec.ValidationError as error:
            found = told(error, bytes(raw), (self._kind,))
            return found if isinstance(found, msgspec.ValidationError) else error


def _charge(call: Call, size: int) -> None:
    if not 1 <= size <= MAX_PAGE:
        detail = f"a page holds 1 to {MAX_PAGE:,} items; this one has {size:,}"
        raise refused(problems.INVALID, detail, hint="send several pages")
    call.caller.charge(size - 1)


_ONE_A_LINE = "one object a line; nothing of the page was taken"
