"""A policy's settings: which features a model sees, how scores become priorities, how priorities become chances."""

import datetime
from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Literal

from msgspec import Meta

from bandit_nba.decide.choice.prior import Prior
from bandit_nba.decide.choice.safe import Safe
from bandit_nba.decide.choice.weighing import Arbitration as Arbitration  # part of the policy's settings
from bandit_nba.settings import Settings, version_of

Share = Annotated[float, Meta(ge=0.0, le=1.0)]
Positive = Annotated[float, Meta(gt=0.0, le=1e9)]


class Number(Settings, frozen=True, kw_only=True):
    """How a number becomes features: divided by `scale`, and, with `bins`, one indicator per interval as well."""

    scale: Positive = 1.0
    bins: tuple[float, ...] = ()


class FeatureSettings(Settings, frozen=True, kw_only=True, dict=True):
    """What the model may see. Every fact named lives in namespace U (customer) or R (request); arms live in A.

    customer, request: names of declared facts. numbers: how each number is cut. interactions: pairs or triples of
    the letters U, R, A, as VW's `-q` and `--cubic`; without one that holds A, context cannot change the ranking.
    """

    customer: tuple[str, ...] = ()
    request: tuple[str, ...] = ()
    numbers: Mapping[str, Number] = {}
    channel: bool = True
    interactions: tuple[Annotated[str, Meta(pattern="^[URA]{2,3}$")], ...] = ("UA", "RA")
    bits: Annotated[int, Meta(ge=10, le=28)] = 18

    @cached_property
    def version(self) -> str:
        """Names this feature definition."""
        return version_of(self)


class Explorer(Settings, frozen=True, kw_only=True):
    """How priorities become probabilities; n is the number of examples that the model has learned.

    greedy: the best. uniform: all alike. epsilon_greedy: the share `epsilon` evenly, the rest to the best.
    epsilon_decay: the same with epsilon / (1 + n / half_life), which has halved once n reaches `half_life`.
    softmax: p_a in proportion to exp(-gap_a / temperature), gaps in priority ranges. squarecb: p_a = 1 / (K + gamma
    gap_a) with gamma = scale * max(n, 1) ** exponent, the rest to the best. thompson: the share of an ensemble's
    `members` that prefer the arm.
    """

    kind: Literal["greedy", "epsilon_greedy", "epsilon_decay", "softmax", "squarecb", "thompson", "uniform"] = (
        "squarecb"
    )
    epsilon: Share = 0.05
    half_life: Positive = 10_000.0
    temperature: Positive = 0.1
    scale: Positive = 10.0
    exponent: Share = 0.5
    members: Annotated[int, Meta(ge=2, le=100)] = 8


class Exploration(Explorer, frozen=True, kw_only=True):
    """An explorer with a floor, mixed in last, after any mixture: p' = (1 - floor) p + floor / K."""

    floor: Share = 0.05


class Campaign(Settings, frozen=True, kw_only=True):
    """One offer for each segment, from `starts` until the next campaign; a segment without one gets no action.

    offers: segment -> arm or action. A category's segments are its values, a number's are named as its bins are
    ("..12", "12..36", "36..").
    """

    starts: datetime.datetime
    offers: Mapping[str, str]


class Baseline(Settings, frozen=True, kw_only=True):
    """A policy that learns nothing, to be held against or to act beside the learned one.

    uniform: all alike. best_fixed: `arm`. first: the first arm, that is no action, or the first that a request brings.
    ranking: the first of `order` that is eligible. segment_campaign: the offer of the customer's segment by `fact`, a
    category or a number cut at `cuts`. Where nothing named is eligible: no action. An action's name stands for all its
    treatments, which share evenly.
    """

    kind: Literal["uniform", "best_fixed", "first", "ranking", "segment_campaign"] = "uniform"
    arm: str = ""
    order: tuple[str, ...] = ()
    fact: str = ""
    cuts: tuple[float, ...] = ()
    campaigns: tuple[Campaign, ...] = ()


Part = Annotated[float, Meta(ge=0.0, lt=1.0)]


class Challenger(Settings, frozen=True, kw_only=True):
    """The same model under another exploration, for a share of the decisions."""

    name: Annotated[str, Meta(pattern="^[a-z][a-z0-9_]{0,63}$")]
    share: Annotated[float, Meta(gt=0.0, lt=1.0)]
    exploration: Explorer


class Mixture(Settings, frozen=True, kw_only=True):
    """Which policies act beside the learned one ("champion"), and how often; see `mixture`.

    challengers: drawn per decision by their shares. baseline_share: of decisions that the baseline makes (cautious
    mode); the champion has the rest. control: share of customers for whom the baseline decides, assigned once per
    customer and afresh under another name of the `experiment`. apprentice: the baseline decides alone, and what the
    champion would have done is logged.
    """

    experiment: Annotated[str, Meta(pattern="^[a-z0-9][a-z0-9_.-]{0,63}$|^$")] = ""
    challengers: tuple[Challenger, ...] = ()
    baseline_share: Part = 0.0
    control: Part = 0.0
    apprentice: bool = False

    @property
    def mixes(self) -> bool:
        """Whether anything but the champion acts."""
        return bool(self.challengers or self.baseline_share or self.control or self.apprentice)


class Learning(Settings, frozen=True, kw_only=True):
    """VW options beyond the fixed `--cb_adf --cb_type mtr`; only those in the adapter's allow-list."""

    options: Mapping[str, float | bool | str] = {}


class Policy(Settings, frozen=True, kw_only=True, dict=True):
    """Everything that maps a context and an eligible set to a distribution, but for the model's weights.

    priors: what is expected of arms that are still unknown, by group; "default" for groups without; see `prior`.
    """

    name: str = "default"
    features: FeatureSettings = FeatureSettings()
    exploration: Exploration = Exploration()
    arbitration: Arbitration = Arbitration()
    learning: Learning = Learning()
    baseline: Baseline = Baseline()
    mixture: Mixture = Mixture()
    safe: Safe = Safe()
    priors: Mapping[str, Prior] = {}

    @cached_property
    def version(self) -> str:
        """Names this content; equal content has the same version."""
        return version_of(self)

    @property
    def ensemble(self) -> int:
        """How many members an ensemble needs for all that explores by one; 0 where nothing does."""
        explorers = [self.exploration, *(challenger.exploration for challenger in self.mixture.challengers)]
        return max((one.members for one in explorers if one.kind == "thompson"), default=0)
