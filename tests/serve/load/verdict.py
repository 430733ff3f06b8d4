"""What a scenario measured, and which promises it saw broken."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Verdict:
    """measured: numbers by name. broken: promises in words; empty where all were kept."""

    measured: dict[str, Any] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)

    def note(self, **numbers: Any) -> None:
        """Keep numbers for the report."""
        self.measured |= numbers

    def require(self, kept: bool, promise: str) -> None:
        """Count a promise as broken unless it was kept."""
        if not kept:
            self.broken.append(promise)

    def require_ok(self, statuses: Mapping[str, int], broken: int, what: str) -> None:
        """Every answer a 2xx and no connection broken."""
        failed = {status: n for status, n in statuses.items() if not status.startswith("2")}
        self.require(not failed and not broken, f"{what}: failed {failed}, broken connections {broken}")
