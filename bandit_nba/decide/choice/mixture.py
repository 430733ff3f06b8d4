"""Mixtures: who else acts beside the learned policy, how often, and with which probability that ends up.

Components and their shares, per row:

    drawn per decision     champion, challengers, baseline: s_c, adding up to 1
    drawn per customer     first control or not, by H(salt, customer, experiment); "control" is then the only component,
                           all others keep the shares above
    anonymous              nobody to assign: control is one more component drawn per decision, the others have
                           (1 - control) s_c

The row's probability is p = sum_c s_c p_c over the components that it may still be drawn to, then the floor: the true
chance of each arm given what is assigned to the customer. The arm is drawn from p, and then the component that it is
credited to from s_c p_c(arm) / p(arm). Both together have the chance s_c p_c(arm), just as if the component had been
drawn first; but what is drawn from is what is logged, for single choices and for slates alike.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bandit_nba.decide.acting import ActingPolicy, Distribution, Situation, floored
from bandit_nba.decide.batch import Credit, Shadow
from bandit_nba.decide.choice.salt import Salt
from bandit_nba.decide.choice.sample import draw, uniforms
from bandit_nba.decide.columns import Bools, Floats, Ints
from bandit_nba.decide.policy import Mixture
from bandit_nba.errors import SettingsError

CHAMPION, BASELINE, CONTROL = "champion", "baseline", "control"
COMPONENT, SHADOW = "component", "shadow"  # purposes of draws
CUSTOMER = "customer"  # purpose of the draw by customer, with the experiment's name behind it


@dataclass(frozen=True)
class Component:
    """A policy and its share of the decisions of those who are not in the control group."""

    name: str
    share: float
    policy: ActingPolicy


@dataclass(frozen=True)
class Mixed(Distribution):
    """A mixture's distribution with all that crediting needs.

    shares: (N, C), what each row could still be drawn to. parts: each component's own distribution, floor included.
    by_customer: (N,), True where control or not was settled for the customer. shadow: the watched policy's.
    """

    shares: Floats
    parts: tuple[Floats, ...]
    by_customer: Bools
    shadow: Floats | None

    def given(self, chosen: Ints) -> Floats:
        """The chance of each component given the choice: s_c p_c(chosen) / p(chosen), float64 (N, C)."""
        rows = np.arange(len(chosen))
        joint: Floats = self.shares * np.stack([part[rows, chosen] for part in self.parts], axis=1)
        joint /= self.probability[rows, chosen][:, None]
        return joint


class MixturePolicy:
    """Components mixed by their shares, floor last; see the head of this module.

    champion: the learned policy without a floor; its expected rewards and priorities are the mixture's, whoever acts.
    baseline: asked only where the settings say so. salt: of the customers' assignment.
    """

    name = "mixture"

    def __init__(
        self,
        settings: Mixture,
        *,
        champion: ActingPolicy,
        challengers: Sequence[ActingPolicy],
        baseline: ActingPolicy,
        floor: float,
        salt: Salt,
    ) -> None:
        self._settings = settings
        self._champion = champion
        self._floor = floor
        self._salt = salt
        self._components = components(settings, champion, challengers, baseline)
        self._control = settings.control
        if self._control:
            self._components.append(Component(CONTROL, 0.0, baseline))
        self.names = tuple(component.name for component in self._components)

    @property
    def full_support(self) -> bool:
        """Whether every row has a component with full support, or there is a floor."""
        acting = [c.policy.full_support for c in self._components if c.share > 0.0]
        control = not self._control or self._components[-1].policy.full_support
        return self._floor > 0.0 or (any(acting) and control)

    def distribution(self, situation: Situation) -> Mixed:
        """The mixture of each row, given what is assigned to its customer."""
        made = [component.policy.distribution(situation) for component in self._components]
        parts = tuple(floored(one.probability, situation.mask, floor=self._floor) for one in made)
        shares, by_customer = self._shares(situation)

        def again(rows: Ints, mask: Bools) -> Floats:
            return mixed_of(shares[rows], [floored(one.again(rows, mask), mask, floor=self._floor) for one in made])

        champion = made[0] if self._components[0].policy is self._champion else self._champion.distribution(situation)
        watched = floored(champion.probability, situation.mask, floor=self._floor)
        return Mixed(
            probability=mixed_of(shares, parts),
            expected_reward=champion.expected_reward,
            priority=champion.priority,
            again=again,
            shares=shares,
            parts=parts,
            by_customer=by_customer,
            shadow=watched if self._settings.apprentice else None,
        )

    def credit(self, mixed: Mixed, ids: Sequence[str], chosen: Ints) -> Credit:
        """Draw the component that each choice is credited to."""
        rows = np.arange(len(chosen))
        component = draw(mixed.given(chosen), uniforms(self._salt, ids, purpose=COMPONENT))
        share = mixed.shares[rows, component]
        own = np.stack(mixed.parts)[component, rows]
        alone = mixed.by_customer & (share == 1.0)  # nothing was left to draw for the decision itself
        of_customers = np.where(component == self._at_control, self._control, 1.0 - self._control)
        return Credit(
            names=self.names,
            component=component,
            share=np.where(alone, of_customers, share),
            probability=own,
            by_customer=alone,
            experiment=self._settings.experiment,
        )

    def shadow(self, mixed: Mixed, ids: Sequence[str]) -> Shadow | None:
        """What the champion would have chosen, drawn apart: independently of what was done, given the distributions."""
        if mixed.shadow is None:
            return None
        chosen = draw(mixed.shadow, uniforms(self._salt, ids, purpose=SHADOW))
        return Shadow(name=CHAMPION, probability=mixed.shadow, chosen=chosen)

    @property
    def _at_control(self) -> int:
        return len(self._components) - 1 if self._control else -1

    def _shares(self, situation: Situation) -> tuple[Floats, Bools]:
        """Shares (N, C) of what each row may still be drawn to, and where control or not is settled (N,)."""
        per_decision = np.array([component.share for component in self._components])
        rows = len(situation)
        if not self._control:
            return np.tile(per_decision, (rows, 1)), np.zeros(rows, dtype=np.bool_)
        anonymous = (1.0 - self._control) * per_decision
        anonymous[-1] = self._control
        only_control = np.zeros(len(per_decision))
        only_control[-1] = 1.0
        customers = situation.requests.customers
        known = np.array([customer != "" for customer in customers], dtype=np.bool_)
        u = uniforms(self._salt, customers, purpose=f"{CUSTOMER}:{self._settings.experiment}")
        controlled = known & (u < self._control)
        shares = np.where(known[:, None], np.where(controlled[:, None], only_control, per_decision), anonymous)
        return shares, known


def mixed_of(shares: Floats, parts: Sequence[Floats]) -> Floats:
    """sum_c s_c p_c, in the order of the components."""
    mixed: Floats = shares[:, :1] * parts[0]
    for c, part in enumerate(parts[1:], start=1):
        mixed += shares[:, c : c + 1] * part
    return mixed


def components(
    settings: Mixture, champion: ActingPolicy, challengers: Sequence[ActingPolicy], baseline: ActingPolicy
) -> list[Component]:
    """Everything that is drawn per decision, the champion first; in apprentice mode the baseline alone."""
    if settings.apprentice:
        return [Component(BASELINE, 1.0, baseline)]
    given = [Component(c.name, c.share, policy) for c, policy in zip(settings.challengers, challengers, strict=True)]
    if settings.baseline_share:
        given.append(Component(BASELINE, settings.baseline_share, baseline))
    left = 1.0 - sum(component.share for component in given)
    return [Component(CHAMPION, left, champion), *given]


def check_mixture(settings: Mixture, *, where: str = "policy.toml: mixture") -> None:
    """Refuse shares and names that cannot be.

    Raises
    ------
    SettingsError
        If shares leave nothing for the champion, names repeat, a control group has no experiment, or apprentice mode
        stands beside anything else.
    """
    given = sum(challenger.share for challenger in settings.challengers) + settings.baseline_share
    if given > 1.0 - 1e-9:
        raise SettingsError(
            "leave nothing for the champion", where=f"{where}: shares", got=given, allowed="together less than 1"
        )
    names = [CHAMPION, BASELINE, CONTROL, *(challenger.name for challenger in settings.challengers)]
    for i, name in enumerate(names):
        if name in names[:i]:
            raise SettingsError(
                "is taken", where=f"{where}.challengers", got=name, allowed="names of their own, none of them taken"
            )
    if settings.control and not settings.experiment:
        raise SettingsError(
            "a control group needs the experiment's name",
            where=f"{where}.experiment",
            hint='such as "spring-2026"; another name assigns customers afresh',
        )
    if settings.apprentice and (settings.challengers or settings.baseline_share or settings.control):
        raise SettingsError(
            "the baseline decides alone in apprentice mode",
            where=f"{where}.apprentice",
            got=True,
            allowed="no challengers, baseline_share or control beside it",
        )


def in_words(settings: Mixture) -> str:
    """Who acts and how often, for people; "" where nothing is mixed."""
    if not settings.mixes:
        return ""
    if settings.apprentice:
        return "the baseline decides, the learned policy is watched"
    parts = [f"{challenger.name} {challenger.share:.3g}" for challenger in settings.challengers]
    if settings.baseline_share:
        parts.append(f"baseline {settings.baseline_share:.3g}")
    left = 1.0 - settings.baseline_share - sum(challenger.share for challenger in settings.challengers)
    words = ", ".join([f"champion {left:.3g}", *parts]) + " of decisions" if parts else ""
    control = f"control group {settings.control:.3g} of customers in {settings.experiment}" if settings.control else ""
    return "; ".join(part for part in (words, control) if part)
