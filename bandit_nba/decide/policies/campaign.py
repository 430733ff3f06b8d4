"""Segment campaigns, as marketing runs them without a bandit: one offer for each segment, for weeks.

Offers are declared for each period, or chosen again at the start of every period by what they earned in the segment.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from bandit_nba.catalogue import Arm
from bandit_nba.decide.acting import Distribution, Situation, shared_best, unscored
from bandit_nba.decide.columns import Floats, Ints
from bandit_nba.decide.policies.ranking import standing
from bandit_nba.decide.policies.segments import Segments

WEEK_S = 7 * 86_400.0


class DeclaredCampaign:
    """Offers by segment, from each start until the next; no action before the first and for who is in no segment.

    campaigns: pairs of a start in seconds since the epoch, growing, and the offers: segment -> arm or action.

    Raises
    ------
    SettingsError
        If there is no such arm or action.
    """

    name = "segment_campaign"
    full_support = False

    def __init__(
        self,
        segments: Segments,
        campaigns: Sequence[tuple[float, Mapping[str, str]]],
        arms: Sequence[Arm],
        *,
        where: str = "campaigns",
    ) -> None:
        self._segments = segments
        self._starts = np.array([start for start, _ in campaigns])
        nobody = standing([], arms, where=where)
        self._standing = np.array(
            [[nobody] * (len(segments.names) + 1)]
            + [
                [
                    *(standing([offers[name]] if name in offers else [], arms, where=where) for name in segments.names),
                    nobody,
                ]
                for _, offers in campaigns
            ]
        )  # (campaigns + 1, segments + 1, K): before the first start, and in no segment, there is no offer

    def distribution(self, situation: Situation) -> Distribution:
        """1 at the segment's offer where it is eligible."""
        campaign = np.searchsorted(self._starts, situation.requests.decided_at, side="right")
        score = self._standing[campaign, self._segments.of(situation)]
        return unscored(lambda rows, mask: shared_best(score[rows], mask), situation.mask)


class SegmentCampaign:
    """Offers that are chosen again for every period: in each segment the arm with the best shrunken mean reward so far.

    mean = (sum of rewards + strength * prior) / (decisions + strength), so an arm that was never tried has the prior;
    no action is an offer, too. period_s: 8 to 12 weeks are usual. Between two periods offers never change.
    """

    name = "segment_campaign"
    full_support = False

    def __init__(
        self,
        segments: Segments,
        arms: Sequence[Arm],
        *,
        start_s: float,
        period_s: float = 10 * WEEK_S,
        prior: float = 0.05,
        strength: float = 20.0,
    ) -> None:
        shape = len(segments.names) + 1, len(arms)
        self._segments = segments
        self._period_s = period_s
        self._ends_s = start_s + period_s
        self._prior, self._strength = prior, strength
        self._count, self._sum = np.zeros(shape), np.zeros(shape)
        self._offers = self._means()

    @property
    def offers(self) -> Ints:
        """The arm of each segment, the last for who is in none; the first where several are equally good."""
        found: Ints = self._offers.argmax(axis=1)
        return found

    def distribution(self, situation: Situation) -> Distribution:
        """The segment's offer; where it is not eligible, no action; equally good offers share."""
        means = self._offers[self._segments.of(situation)]
        best = means == means.max(axis=1, keepdims=True)
        score = np.where(best, 1.0, -np.inf)
        score[:, 0] = np.maximum(score[:, 0], 0.0)
        return unscored(lambda rows, mask: shared_best(score[rows], mask), situation.mask)

    def update(self, situation: Situation, chosen: Ints, rewards: Floats) -> None:
        """Count what was earned; the first decisions made after a period's end begin the next one."""
        segment = self._segments.of(situation)
        late = float(situation.requests.decided_at.max(initial=-np.inf))
        if late >= self._ends_s:
            self._offers = self._means()
            self._ends_s += self._period_s * (1 + (late - self._ends_s) // self._period_s)
        np.add.at(self._count, (segment, chosen), 1.0)
        np.add.at(self._sum, (segment, chosen), rewards)

    def begin(self) -> None:
        """Choose the offers now, from what has been counted so far: after a pilot, say."""
        self._offers = self._means()

    def _means(self) -> Floats:
        means: Floats = (self._sum + self._strength * self._prior) / (self._count + self._strength)
        return means
