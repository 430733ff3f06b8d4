"""What the client was told: every acknowledged answer, byte for byte, on disk as it comes."""

import base64
import json
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass
class History:
    """Written by many threads. decisions: id -> (payload, body); outcomes: id -> payload; both acknowledged.

    not_durable: ids that were answered with the word that nothing is kept. activated: ids whose activation was
    acknowledged. waiting: requests without an answer yet, which may be sent again. wrong: what must never happen.
    """

    path: Path
    decisions: dict[str, tuple[dict[str, Any], bytes]] = field(default_factory=dict)
    outcomes: dict[str, dict[str, Any]] = field(default_factory=dict)
    not_durable: set[str] = field(default_factory=set)
    activated: set[str] = field(default_factory=set)
    waiting: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    refused: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._file = self.path.open("a")

    def decided(self, payload: dict[str, Any], body: bytes) -> None:
        """An answer to a decision, 201 or 200."""
        decision = payload["decisionId"]
        with self._lock:
            self._line("decision", decision, payload, body)
            if json.loads(body).get("durable") is False:
                self.not_durable.add(decision)
                return
            self.waiting.pop(("decision", decision), None)
            known = self.decisions.setdefault(decision, (payload, body))
            if known[1] != body:
                self.wrong.append(f"P2: {decision} was answered twice, in different words: {known[1]!r}, {body!r}")

    def collected(self, payload: dict[str, Any], body: bytes) -> None:
        """An outcome was acknowledged as new or known."""
        with self._lock:
            self._line("outcome", payload["outcomeId"], payload, body)
            self.waiting.pop(("outcome", payload["outcomeId"]), None)
            self.outcomes[payload["outcomeId"]] = payload

    def activation(self, decision: str, body: bytes) -> None:
        """An activation was acknowledged."""
        with self._lock:
            self._line("activation", decision, {}, body)
            self.activated.add(decision)

    def unanswered(self, kind: str, name: str, payload: dict[str, Any], why: str) -> None:
        """No answer came, or one that says that nothing was kept: the same may be sent again."""
        with self._lock:
            self.refused[why] += 1
            self.waiting[(kind, name)] = payload

    def unanswered_now(self) -> list[tuple[str, dict[str, Any]]]:
        """Kind and payload of what has no answer yet."""
        with self._lock:
            return [(kind, payload) for (kind, _), payload in self.waiting.items()]

    def violated(self, what: str) -> None:
        """Note what must never happen."""
        with self._lock:
            self.wrong.append(what)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _line(self, kind: str, name: str, payload: dict[str, Any], body: bytes) -> None:
        said = {"at": time.time(), "kind": kind, "id": name, "sent": payload, "got": base64.b64encode(body).decode()}
        self._file.write(json.dumps(said) + "\n")
        self._file.flush()
