"""Logged facts, JSON objects row by row, as columns: decoded straight into the declared kinds."""

from collections.abc import Sequence
from operator import attrgetter
from types import NoneType
from typing import Any

import msgspec

from bandit_nba.catalogue import FactSchema
from bandit_nba.decide.columns import Facts

_KINDS: dict[str, Any] = {"number": float, "boolean": bool, "set": tuple[str, ...]}


class LoggedFacts:
    """Reads the facts of one schema; whatever else a row holds is not looked at."""

    def __init__(self, schema: FactSchema) -> None:
        self._schema = schema
        places = [f"f{i}" for i in range(len(schema))]  # names of facts need not be names in Python
        kinds = [_KINDS.get(kind, str) for kind in schema.values()]
        row = msgspec.defstruct(
            "Row",
            [(place, kind | NoneType, None) for place, kind in zip(places, kinds, strict=True)],
            rename=dict(zip(places, schema, strict=True)),
            gc=False,
        )
        self._decode = msgspec.json.Decoder(row).decode
        self._cells = [attrgetter(place) for place in places]

    def read(self, contents: Sequence[bytes | None]) -> Facts:
        """The facts of N rows; None, for erased ones, knows nothing.

        Raises
        ------
        msgspec.DecodeError
            If a row is no JSON object, or a fact is of another kind than declared.
        """
        rows = [self._decode(content or b"{}") for content in contents]
        cells = {name: list(map(get, rows)) for name, get in zip(self._schema, self._cells, strict=True)}
        return Facts.from_cells(cells, self._schema, size=len(rows))
