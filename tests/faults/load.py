"""Clients that never stop asking: decisions, outcomes in every order, activations, replays, hostile numbers."""

import http.client
import json
import random
import threading
import time
from collections.abc import Sequence
from typing import Any

from tests.faults.history import History

TIMEOUT_S = 20.0
PAUSE_S = 0.016
FAR_S = 4.0
"""An outcome may come this much later than its decision; the wait for outcomes is less than half of it."""
TYPES = ("click", "accept", "purchase", "reject")
CHANNELS = ("web", "web", "web", "email", "call_center")
HOSTILE = (b"NaN", b"Infinity", b"-Infinity", b"1e400", b'"12"', b"1e13")


class Load:
    """Threads with a connection each. ports: of the replicas; a thread whose replica has gone tries another."""

    def __init__(self, history: History, ports: Sequence[int], *, seed: int, threads: int = 4) -> None:
        self._history = history
        self._ports = ports
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=_Client(history, ports, seed=seed, name=f"c{i}", stop=self._stop).run, daemon=True)
            for i in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End after the requests at hand."""
        self._stop.set()
        for thread in self._threads:
            thread.join(TIMEOUT_S + 5.0)
            if thread.is_alive():
                self._history.violated(f"a client hangs: no answer within {TIMEOUT_S:g} s")

    def settle(self, *, within_s: float = 20.0) -> None:
        """Send again what has no answer yet, until nothing is left."""
        client = _Client(self._history, self._ports, seed=0, name="again", stop=threading.Event())
        give_up = time.monotonic() + within_s
        while self._history.waiting and time.monotonic() < give_up:
            for (kind, _), payload in list(self._history.waiting.items()):
                client.send(kind, payload)
            time.sleep(0.1)
        for kind, name in self._history.waiting:
            self._history.violated(f"{kind} {name} gets no answer though everything runs")

    def repeat(self, *, most: int, rng: random.Random) -> None:
        """Ask known ids again: the same bytes for the same payload, a refusal for another."""
        client = _Client(self._history, self._ports, seed=0, name="repeat", stop=threading.Event())
        known = sorted(self._history.decisions)
        for decision in rng.sample(known, min(most, len(known))):
            payload = self._history.decisions[decision][0]
            client.send("decision", payload)
            status, body = client.post("/v1/decisions", {**payload, "channel": _other(payload["channel"])})
            if status != 422:
                self._history.violated(f"P2: {decision} with another payload: {status} {body!r}")


class _Client:
    def __init__(self, history: History, ports: Sequence[int], *, seed: int, name: str, stop: threading.Event) -> None:
        self._history = history
        self._ports = ports
        self._rng = random.Random(f"{seed}-{name}")
        self._name = name
        self._stop = stop
        self._made = 0
        self._recent: list[tuple[float, dict[str, Any]]] = []
        self._connection: http.client.HTTPConnection | None = None

    def run(self) -> None:
        """One request after the other, by chance of this kind or that."""
        while not self._stop.is_set():
            dice = self._rng.random()
            if dice < 0.55:
                self._decide()
            elif dice < 0.9:
                self._tell()
            elif dice < 0.96:
                self._again()
            else:
                self._hostile()
            self._stop.wait(self._rng.uniform(0, 2 * PAUSE_S))

    def send(self, kind: str, payload: dict[str, Any]) -> None:
        """Send a decision or an outcome, and keep what is said of it."""
        name = payload[f"{kind}Id"]
        try:
            status, body = self.post(f"/v1/{kind}s", payload)
        except (OSError, http.client.HTTPException) as error:
            self._history.unanswered(kind, name, payload, type(error).__name__)
            return
        if status in (200, 201):
            (self._history.decided if kind == "decision" else self._history.collected)(payload, body)
        elif status in (409, 429, 503):
            self._history.unanswered(kind, name, payload, str(status))
        else:
            self._history.violated(f"{kind} {name}: {status} {body!r}")

    def post(self, path: str, payload: dict[str, Any] | bytes) -> tuple[int, bytes]:
        """The answer; a refusal that may be tried again must say when."""
        body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        if self._connection is None:
            self._connection = http.client.HTTPConnection("127.0.0.1", self._rng.choice(self._ports), timeout=TIMEOUT_S)
        try:
            self._connection.request("POST", path, body, {"Content-Type": "application/json"})
            answer = self._connection.getresponse()
            said = answer.read()
        except BaseException:
            self._connection.close()
            self._connection = None
            self._stop.wait(0.05)
            raise
        if answer.status in (429, 503) and not answer.headers.get("Retry-After"):
            self._history.violated(f"{path}: {answer.status} without Retry-After")
        return answer.status, said

    def _decide(self) -> None:
        self._made += 1
        payload: dict[str, Any] = {
            "decisionId": f"{self._name}-{self._made}",
            "channel": self._rng.choice(CHANNELS),
            "facts": {
                "tenure_months": self._rng.randrange(72),
                "internet": self._rng.choice(("dsl", "fiber", "none")),
                "consent_marketing": True,
            },
        }
        if self._rng.random() < 0.8:
            payload["customerId"] = f"{self._name}-{self._rng.randrange(30)}"
        self._recent.append((time.monotonic(), payload))
        self._recent = self._recent[-300:]
        if self._rng.random() < 0.05:
            self._tell()  # before its decision
        self.send("decision", payload)
        if payload["channel"] == "call_center" and self._rng.random() < 0.7:
            self._activate(payload["decisionId"])

    def _activate(self, decision: str) -> None:
        try:
            status, body = self.post(f"/v1/decisions/{decision}/activate", b"{}")
        except (OSError, http.client.HTTPException):
            return
        if status == 200:
            self._history.activation(decision, body)
        elif status not in (404, 409, 429, 503):
            self._history.violated(f"activation of {decision}: {status} {body!r}")

    def _tell(self) -> None:
        """What came of one of the last decisions, or only of its customer."""
        recent = [payload for at, payload in self._recent if time.monotonic() - at < FAR_S]
        if not recent:
            return
        about = self._rng.choice(recent)
        self._made += 1
        payload = {"outcomeId": f"o-{self._name}-{self._made}", "type": self._rng.choice(TYPES)}
        if payload["type"] == "purchase" and "customerId" in about and self._rng.random() < 0.6:
            payload["customerId"] = about["customerId"]
        else:
            payload["decisionId"] = about["decisionId"]
        if self._rng.random() < 0.5:
            payload["amount"] = self._rng.randrange(64) / 8  # sums of eighths are exact in any order
        self.send("outcome", payload)
        if self._rng.random() < 0.15:
            self.send("outcome", payload)

    def _again(self) -> None:
        """Something without an answer, or a decision that has one."""
        if waiting := self._history.unanswered_now():
            self.send(*self._rng.choice(waiting))
        elif self._recent:
            self.send("decision", self._rng.choice(self._recent)[1])

    def _hostile(self) -> None:
        """Numbers that must not get in."""
        number = self._rng.choice(HOSTILE)
        self._made += 1
        name = f"h-{self._name}-{self._made}".encode()
        bodies = {
            "/v1/outcomes": b'{"outcomeId":"%s","decisionId":"d","type":"accept","amount":%s}' % (name, number),
            "/v1/decisions": b'{"decisionId":"%s","channel":"web","facts":{"tenure_months":%s}}' % (name, number),
        }
        path = self._rng.choice(sorted(bodies))
        if number == b"1e13" and path == "/v1/decisions":
            return  # a large number, but one
        try:
            status, body = self.post(path, bodies[path])
        except (OSError, http.client.HTTPException):
            return
        if status not in (400, 422, 429, 503):
            self._history.violated(f"P8: {path} took {number!r}: {status} {body!r}")


def _other(channel: str) -> str:
    return "email" if channel == "web" else "web"
