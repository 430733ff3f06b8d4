"""What was searched, promoted and rolled back in a workspace: one JSON line per event, never changed afterwards.

The ledger keeps repeated looks honest. A challenger is entered once, with the model and the moment from which it is
judged; every later look goes on with the same sequence. The k-th entry or search against one champion may be wrong
with chance alpha / (k (k + 1)), which adds up to alpha over any number of them; an entry that was searched among m
candidates on the very decisions that judge it has an m-th of that. What was rolled back may enter again, but is judged
on later decisions only.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import msgspec

from bandit_nba.errors import StoreError

FILE = Path("data") / "promotions.jsonl"

Kind = Literal["searched", "entered", "promoted", "rolled_back"]


class Event(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """One line. champion, policy: versions of policy files. model: the version that the policy is judged with.

    since: decisions made after it judge (seconds since the epoch). among: candidates it was searched among. share: of
    alpha. rival_model: the model of the replaced policy; backup: the file that keeps it. low, high: the gain's interval
    per decision. reason: in words.
    """

    kind: Kind
    at: float
    champion: str
    policy: str
    name: str = ""
    model: str = ""
    since: float = 0.0
    among: int = 1
    share: float = 1.0
    rival_model: str = ""
    backup: str = ""
    low: float = 0.0
    high: float = 0.0
    reason: str = ""


def events(workspace: Path) -> Sequence[Event]:
    """Every event in the order in which it happened.

    Raises
    ------
    StoreError
        If a line cannot be read; it is named.
    """
    path = workspace / FILE
    if not path.exists():
        return []
    found = []
    for number, line in enumerate(path.read_bytes().splitlines(), start=1):
        try:
            found.append(msgspec.json.decode(line, type=Event))
        except msgspec.DecodeError as error:
            raise StoreError(f"cannot be read ({error})", where=f"{path}: line {number}") from None
    return found


def record(workspace: Path, event: Event) -> None:
    """Add an event; it is on disk when this returns."""
    path = workspace / FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        file.write(msgspec.json.encode(event) + b"\n")
        file.flush()
        os.fsync(file.fileno())


def entry_of(found: Sequence[Event], *, champion: str, policy: str) -> Event | None:
    """The entry of a policy against this champion since it was last rolled back; None where there is none."""
    for event in reversed(found):
        if event.kind == "rolled_back" and event.policy == policy:
            return None
        if event.kind == "entered" and (event.champion, event.policy) == (champion, policy):
            return event
    return None


def new_entry(found: Sequence[Event], *, at: float, champion: str, policy: str, name: str, since: float) -> Event:
    """An entry with its share of alpha, judged from `since`, or from its search or roll-back on where there was one."""
    against = [event for event in found if event.champion == champion and event.kind in ("entered", "searched")]
    search = next((e for e in reversed(against) if e.kind == "searched" and e.policy == policy), None)
    k = 1 + sum(event is not search for event in against)
    among = search.among if search else 1
    back = [event.at for event in found if event.kind == "rolled_back" and event.policy == policy]
    return Event(
        kind="entered",
        at=at,
        champion=champion,
        policy=policy,
        name=name,
        since=max(search.since if search else since, *back, -1.0),
        among=among,
        share=1.0 / (k * (k + 1) * among),
    )


def last_promotion(found: Sequence[Event]) -> Event | None:
    """The newest promotion, unless it was rolled back."""
    newest = next((event for event in reversed(found) if event.kind in ("promoted", "rolled_back")), None)
    return newest if newest is not None and newest.kind == "promoted" else None


def searched_among(found: Sequence[Event], *, policy: str, after_s: float) -> int:
    """Among how many a policy was searched on decisions made after `after_s`; 1 where it was not searched on those."""
    return max((e.among for e in found if e.kind == "searched" and e.policy == policy and e.at > after_s), default=1)
