"""A policy's settings: which features a model sees, how scores become priorities, how priorities become chances."""

from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Literal

from msgspec import Meta

from bandit_nba.decide.weighing import Arbitration as Arbitration  # part of the policy's settings
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


class Exploration(Settings, frozen=True, kw_only=True):
    """How priorities become probabilities; the floor is mixed in last: p' = (1 - floor) p + floor / K.

    epsilon: share that is spread evenly (epsilon_greedy). squarecb: gamma = scale * max(n, 1) ** exponent with n =
    examples learned by the model, p_a = 1 / (K + gamma gap_a), the rest to the best.
    """

    kind: Literal["greedy", "epsilon_greedy", "squarecb", "uniform"] = "squarecb"
    epsilon: Share = 0.05
    scale: Positive = 10.0
    exponent: Share = 0.5
    floor: Share = 0.05


class Learning(Settings, frozen=True, kw_only=True):
    """VW options beyond the fixed `--cb_adf --cb_type mtr`; only those in the adapter's allow-list."""

    options: Mapping[str, float | bool | str] = {}


class Policy(Settings, frozen=True, kw_only=True, dict=True):
    """Everything that maps a context and an eligible set to a distribution, but for the model's weights."""

    name: str = "default"
    features: FeatureSettings = FeatureSettings()
    exploration: Exploration = Exploration()
    arbitration: Arbitration = Arbitration()
    learning: Learning = Learning()

    @cached_property
    def version(self) -> str:
        """Names this content; equal content has the same version."""
        return version_of(self)
