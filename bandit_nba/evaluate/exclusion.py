"""Which logged rows cannot be judged, and why; their share is always reported.

A row that is not the policy's own free draw says nothing of what another policy would have earned: an answer of the
safe policy, a person's choice, a row in which some eligible arm could not have been chosen. What is quarantined is
damaged: it is left alone, so that one such row does not keep all others from being judged. A slate's reward belongs
to several places at once: slates are judged by `evaluate.slates`.
"""

from collections.abc import Sequence

import numpy as np

from bandit_nba.decide.columns import Floats
from bandit_nba.learn.definition import RewardDefinition
from bandit_nba.store.log.chunk import LogChunk
from bandit_nba.store.tables import OVERRIDDEN, QUARANTINED

UNSUPPORTED = "without support"
SLATE = "slate"
INLINE = "actions brought by the request"


def closes_at(chunk: LogChunk, definition: RewardDefinition, *, horizon_s: float | None = None) -> Floats:
    """Until when an outcome counts for each decision under this definition, float64 (N,), seconds since the epoch.

    That is the moment of maturing where the decision waited under this very definition; otherwise the wait of the
    definition, not before its activation was decided. horizon_s: the same wait for every row instead.
    """
    decided = np.array(chunk.decided_at, dtype=np.float64)
    if horizon_s is not None:
        return decided + horizon_s
    waits = {channel: definition.wait_s(channel) for channel in set(chunk.channel)}
    ripe = decided + np.array([waits[channel] for channel in chunk.channel])
    deadline = np.array([np.nan if at is None else at for at in chunk.activate_by], dtype=np.float64)
    own = np.array([version == definition.version for version in chunk.reward_version], dtype=np.bool_)
    return np.where(own, np.array(chunk.matures_at, dtype=np.float64), np.fmax(ripe, deadline))


def why_left_out(
    chunk: LogChunk,
    closes: Floats,
    *,
    now_s: float,
    slates: bool = False,
    inline: bool = True,
    unsupported: bool = False,
) -> Sequence[str]:
    """Per row why it cannot be judged, in a word or two; "" where it can.

    slates: judge them by their first place. inline: judge rows whose request brought the
    actions. unsupported: also rows in which some eligible arm had no chance, which teach but cannot be judged.
    """
    rows = zip(
        chunk.kind,
        chunk.learned_in,
        chunk.activate_by,
        chunk.activated_at,
        chunk.picked,
        closes.tolist(),
        chunk.support,
        chunk.slate,
        chunk.inline_actions,
        strict=True,
    )
    return [
        kind
        if kind != "normal"
        else OVERRIDDEN
        if mark == OVERRIDDEN
        else QUARANTINED
        if mark == QUARANTINED
        else "not activated"
        if deadline is not None and activated is None
        else "picked by a person"
        if picked is not None
        else "immature"
        if closed >= now_s
        else UNSUPPORTED
        if not (support or unsupported)
        else SLATE
        if slate is not None and not slates
        else INLINE
        if brought is not None and not inline
        else ""
        for kind, mark, deadline, activated, picked, closed, support, slate, brought in rows
    ]
