"""Contact rules within one slate: slots that are shown at once are contacts each, so that each counts for the next."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from bandit_nba.catalogue import Arm, Catalogue
from bandit_nba.decide.batch import Requests
from bandit_nba.decide.columns import Bools, Coded, Ints, gathered_cells
from bandit_nba.decide.eligibility.contact import contact_removals
from bandit_nba.decide.eligibility.history import History, PastContacts

Caps = Callable[[Ints, Ints], Bools]
"""Rows of the batch, int64 (M,), and the arms in their places so far, int64 (M, J), -1 for none, to what contact rules
take out of their next place, bool (M, K)."""


def caps_of(catalogue: Catalogue, arms: Sequence[Arm], requests: Requests) -> Caps | None:
    """What contact rules take out once the places so far count; None where no contact is counted.

    Nobody counts the contacts of anonymous customers.
    """
    past = requests.contacts
    history = past.columns if isinstance(past, PastContacts) else past
    if not isinstance(history, History) or not catalogue.contact_rules:
        return None
    actions = [arm.action.id if arm.action.kind != "none" else "" for arm in arms]
    known = np.array([customer != "" for customer in requests.customers], dtype=np.bool_)

    def caps(rows: Ints, placed: Ints) -> Bools:
        named = [[actions[k] for k in row if k >= 0 and actions[k]] for row in placed.tolist()]
        codes, _ = contact_removals(catalogue, _with(history, rows, named, requests), _at(requests, rows))
        out: Bools = (codes != 0) & known[rows][:, None]
        return out

    return caps


def _with(history: History, rows: Ints, named: Sequence[Sequence[str]], requests: Requests) -> History:
    """The contacts of some rows, with a contact of this moment for each of the actions named."""
    indptr, cells = gathered_cells(history.indptr, rows)
    new = np.array([len(names) for names in named], dtype=np.int64)
    row = np.concatenate([np.repeat(np.arange(len(rows)), np.diff(indptr)), np.repeat(np.arange(len(rows)), new)])
    order = np.argsort(row, kind="stable")
    number = {value: code for code, value in enumerate(history.actions.values)}
    added = [number.setdefault(name, len(number)) for names in named for name in names]
    actions = np.concatenate([history.actions.codes[cells], np.array(added, dtype=np.int64)])
    of_request = [requests.channels.values[code] for code in requests.channels.codes[rows].tolist()]
    channel = {value: code for code, value in enumerate(history.channels.values)}
    here = [channel.setdefault(name, len(channel)) for name in of_request]
    channels = np.concatenate([history.channels.codes[cells], np.repeat(np.array(here, dtype=np.int64), new)])
    now = np.repeat(requests.decided_at[rows], new)
    return History(
        indptr=indptr + np.concatenate([[0], np.cumsum(new)]),
        actions=Coded(codes=actions[order], values=tuple(number)),
        channels=Coded(codes=channels[order], values=tuple(channel)),
        decided_at=np.concatenate([history.decided_at[cells], now])[order],
        counts_until=np.concatenate([history.counts_until[cells], np.full(len(now), np.inf)])[order],
        answers={
            name: np.concatenate([times[cells], np.full(len(now), np.nan)])[order]
            for name, times in history.answers.items()
        },
        outbound=history.outbound,
        wait_s=history.wait_s,
    )


def _at(requests: Requests, rows: Ints) -> Requests:
    """What contact rules ask of some requests."""
    return replace(
        requests,
        ids=[requests.ids[i] for i in rows.tolist()],
        customers=[requests.customers[i] for i in rows.tolist()],
        channels=Coded(codes=requests.channels.codes[rows], values=requests.channels.values),
        decided_at=requests.decided_at[rows],
        facts=requests.facts.at(rows),
        readable=requests.readable[rows],
        contacts=None,
        wanted=None,
    )
