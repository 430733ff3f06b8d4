"""Where one file of a workspace must agree with another: mistakes that no file can show alone."""

from collections.abc import Callable, Iterator

from bandit_nba.catalogue import Catalogue
from bandit_nba.catalogue.contact_rules import outcome_problems
from bandit_nba.decide.choice.arbitrate import Arbiter
from bandit_nba.decide.choice.explore import full_support
from bandit_nba.decide.choice.mixture import check_mixture
from bandit_nba.decide.choice.prior import DEFAULT
from bandit_nba.decide.choice.safe import check_safe
from bandit_nba.decide.features.featuriser import Featuriser
from bandit_nba.decide.features.names import check_settings
from bandit_nba.decide.policies.declared import declared_baseline
from bandit_nba.decide.policy import Policy
from bandit_nba.errors import NbaError, SettingsError
from bandit_nba.learn.definition import RewardDefinition
from bandit_nba.learn.options import linear_form
from bandit_nba.settings import nearest
from bandit_nba.workspace.service import Service


def reward_problems(rewards: RewardDefinition, service: Service, *, where: str) -> Iterator[SettingsError]:
    """Each disagreement between the reward definition and the service's channels."""
    if not rewards.outcomes:
        yield SettingsError(
            "names no outcome", where=f"{where}: outcomes", allowed="at least one, such as [outcomes.accept]"
        )
    for name in rewards.waits:
        if name not in service.channels:
            yield SettingsError(
                "unknown channel",
                where=f"{where}: waits",
                got=name,
                allowed="a channel of service.toml",
                hint=nearest(name, service.channels),
            )
    for name, channel in service.channels.items():
        if channel.activation == "deferred" and channel.activate_within_s > rewards.wait_s(name):
            yield SettingsError(
                "a decision would mature before it must be activated",
                where=f"service.toml: channels.{name}.activate_within",
                got=channel.activate_within,
                allowed=f"at most the wait for outcomes, {rewards.waits.get(name, rewards.wait)} in {where}",
            )


def policy_problems(
    policy: Policy, catalogue: Catalogue, rewards: RewardDefinition, *, where: str
) -> Iterator[NbaError]:
    """Each disagreement between the policy, the catalogue's facts and features, and the reward's unit.

    What deciding and learning make of the files is made here once, so that nothing is refused later than at load.
    """
    low, high = rewards.range
    for group, prior in policy.priors.items():
        if not low <= prior.rate <= high:
            place, allowed = f"{where}: priors.{group}.rate", f"{low:g} to {high:g}, the range in rewards.toml"
            yield SettingsError("is no reward that an action can have", where=place, got=prior.rate, allowed=allowed)
    yield from outcome_problems(catalogue, outcomes=rewards.outcomes, where="catalogue.toml")
    parts: tuple[tuple[str, Callable[[], object]], ...] = (
        (where, lambda: check_settings(policy.features, catalogue.facts, where="features")),
        ("catalogue.toml", lambda: Featuriser(policy.features, catalogue.facts).arms(catalogue.arms)),
        (where, lambda: Arbiter(catalogue.arms, policy.arbitration, reward_unit=rewards.unit)),
        (where, lambda: linear_form(policy.features, policy.learning)),
        (where, lambda: check_mixture(policy.mixture)),
        (where, lambda: check_safe(policy.safe, catalogue.arms)),
        (where, lambda: declared_baseline(policy.baseline, catalogue.arms, catalogue.facts)),
    )
    refused: set[str] = set()
    for file, make in parts:
        try:
            make()
        except NbaError as error:
            if error.what not in refused:  # a featuriser refuses what its settings' check has refused
                yield _placed(error, file)
            refused.add(error.what)


def _placed(error: NbaError, where: str) -> NbaError:
    """The same error with the file in its place."""
    place = error.where if ".toml: " in error.where else f"{where}: {error.where}"
    return type(error)(error.what, where=place, got=error.got, allowed=error.allowed, hint=error.hint)


def notes(policy: Policy, catalogue: Catalogue, service: Service) -> Iterator[str]:
    """What is allowed but surprises people, in words."""
    features, exploration = policy.features, policy.exploration
    if not catalogue.actions and service.personalizer is None:
        yield "catalogue.toml lists no action: every decision will be no action, unless requests bring their own."
    context = features.customer or features.request or features.channel
    if not context or not any("A" in letters for letters in features.interactions):
        yield "policy.toml crosses no customer feature with the action: every customer gets the same ranking."
    groups = {DEFAULT, "none", *(action.group for action in catalogue.actions)}
    for group in policy.priors:
        if group not in groups:
            yield f"policy.toml: priors.{group} is for actions that requests bring: the catalogue has no such group."
    if not full_support(exploration):
        kind = exploration.kind
        yield f"policy.toml: {kind} without a floor never explores some arms: the log cannot judge every other policy."
    if policy.mixture.control or policy.mixture.apprentice:
        baseline = declared_baseline(policy.baseline, catalogue.arms, catalogue.facts)
        if not baseline.full_support and exploration.floor == 0.0:
            yield "policy.toml: where the baseline decides nothing else is tried; a floor lets the log judge others."
