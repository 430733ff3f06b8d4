"""A workspace under contact rules, asked for the same few customers again and again; also in processes of its own:
`python contact_world.py WORKSPACE SEED DECISIONS capped|plain [FILE]`."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
import sqlalchemy as sa

from bandit_nba.catalogue import Action, Catalogue, ContactRule, Group
from bandit_nba.catalogue.rules import compile_rules
from bandit_nba.decide.choice.salt import Salt
from bandit_nba.decide.scoring import NoModel, Scorer
from bandit_nba.online.answering import Answer
from bandit_nba.online.decider import Decider
from bandit_nba.online.messages import DecisionAnswer, DecisionRequest
from bandit_nba.store.database import Database
from bandit_nba.workspace import Secrets, Workspace, open_workspace

GROUPS = {"tv": "sell", "case": "sell", "bill": "serve", "tip": "serve"}
CAPS = (
    ContactRule(kind="cap", scope="action", max=1, within="PT1H"),
    ContactRule(kind="cap", scope="group", names=("sell",), max=1, within="PT1H"),
    ContactRule(kind="cap", scope="channel", names=("email",), max=2, within="PT1H"),
    ContactRule(kind="cap", scope="all", max=3, within="PT1H"),
)
ONCE = ContactRule(kind="cap", scope="all", max=1, within="PT1H")
ON_BOTH = pytest.mark.parametrize("store", ["sqlite", "postgresql"], indirect=True)
SALT = Salt(id="s1", key=bytes(range(32)))


class Unlearned:
    """Before any model, all that is eligible is equally likely. `meanwhile` runs between reading and writing."""

    def __init__(self, meanwhile: Callable[[], None] = lambda: None) -> None:
        self.meanwhile = meanwhile

    def current(self) -> Scorer:
        self.meanwhile()
        return NoModel()


def under(workspace: Workspace, *rules: ContactRule) -> Workspace:
    """The workspace with four plain actions under these contact rules, and always the same salt."""
    catalogue = Catalogue(
        facts=workspace.catalogue.facts,
        groups={"sell": Group(), "serve": Group(), **workspace.catalogue.groups},
        contact_rules=rules,
        actions=tuple(Action(id=name, kind="offer", group=group) for name, group in GROUPS.items()),
    )
    secrets = Secrets(salt=SALT, salts={"s1": SALT}, pseudonym_key=workspace.pseudonym_key)
    return replace(workspace, catalogue=catalogue, rules=compile_rules(catalogue), secrets=secrets)


def decider_of(workspace: Workspace, database: Database, clock: Callable[[], float], *rules: ContactRule) -> Decider:
    return Decider(under(workspace, *rules), database, Unlearned(), clock=clock)


def arms(decider: Decider, *requests: object) -> list[str]:
    out = []
    for answer in decider.decide_batch(requests):  # type: ignore[arg-type]
        assert isinstance(answer, Answer), answer
        out.append(msgspec.json.decode(answer.body, type=DecisionAnswer).arm)
    return out


def ask(decision: str, customer: str | None = "c", channel: str = "web", **more: object) -> DecisionRequest:
    named = {} if customer is None else {"customerId": customer}
    return msgspec.convert({"decisionId": decision, "channel": channel, **named, **more}, DecisionRequest)


def play(workspace: Workspace, *, seed: int, decisions: int, customers: int = 12, after: Path | None = None) -> int:
    """Ask for few customers in batches of random size; gives how many were answered.

    after: a file; so many decisions are made from the moment on at which it is there.
    """
    rng = np.random.default_rng(seed)
    database = Database.open(workspace.database_url)
    decider = Decider(workspace, database, Unlearned())
    answered = asked = begun = 0
    try:
        while asked < begun + decisions:
            if after is not None and not after.exists():
                begun = asked + 1
            batch: list[DecisionRequest] = []
            for _ in range(int(rng.integers(1, 5))):
                channel = str(rng.choice(["web", "email"]))
                batch.append(ask(f"d-{seed}-{asked}", f"c-{rng.integers(customers)}", channel))
                asked += 1
            answered += sum(isinstance(answer, Answer) for answer in decider.decide_batch(batch))
    finally:
        database.close()
    return answered


def number_rows(database: Database) -> None:
    """Let PostgreSQL number decisions while they are inserted, that is while their customers are locked.

    A transaction's own number (`xmin`) is given before that, with the lock on the catalogue in force: of two that wait
    for the same customer the one with the smaller number may be the later one.
    """
    with database.write() as connection:
        connection.execute(sa.text("ALTER TABLE decisions ADD COLUMN written bigserial"))


def in_order(database: Database) -> Sequence[sa.Row[tuple[str, str, str, float, str, bytes]]]:
    """All decisions in the order in which they were written: id, customer, channel, decided_at, arm, removed."""
    text = "SELECT id, customer, channel, decided_at, arm, removed FROM decisions ORDER BY "
    with database.read() as connection:
        sqlite = connection.dialect.name == "sqlite"
        # within a transaction rows are inserted by their ids' letters, and were made in the order of their numbers
        order = "rowid" if sqlite else "min(written) OVER (PARTITION BY CAST(xmin AS text)), length(id), id"
        return connection.execute(sa.text(text + order)).all()


if __name__ == "__main__":
    _, path, seed, decisions, kind, *files = sys.argv
    after = Path(files[0]) if files else None
    rules = CAPS if kind == "capped" else ()
    print(play(under(open_workspace(Path(path)), *rules), seed=int(seed), decisions=int(decisions), after=after))
