"""The baseline that `[baseline]` in policy.toml declares."""

from collections.abc import Sequence
from itertools import pairwise

from bandit_nba.catalogue import Arm, FactSchema
from bandit_nba.catalogue.load import epoch
from bandit_nba.decide.acting import ActingPolicy
from bandit_nba.decide.policies.best_fixed import BestFixedPolicy
from bandit_nba.decide.policies.campaign import DeclaredCampaign
from bandit_nba.decide.policies.first import FirstPolicy
from bandit_nba.decide.policies.ranking import RankingPolicy
from bandit_nba.decide.policies.segments import by_fact
from bandit_nba.decide.policies.uniform import UniformPolicy
from bandit_nba.decide.policy import Baseline
from bandit_nba.errors import SettingsError

_KEYS = {  # what each kind reads; all else would be without effect
    "uniform": (),
    "best_fixed": ("arm",),
    "first": (),
    "ranking": ("order",),
    "segment_campaign": ("fact", "cuts", "campaigns"),
}


def declared_baseline(
    settings: Baseline, arms: Sequence[Arm], schema: FactSchema, *, where: str = "policy.toml: baseline"
) -> ActingPolicy:
    """The acting policy.

    Raises
    ------
    SettingsError
        If something that its kind needs is missing, is not declared in the catalogue, or has no effect on its kind.
    """
    _check_keys(settings, where)
    if settings.kind == "best_fixed":
        return BestFixedPolicy(settings.arm, arms, where=f"{where}.arm")
    if settings.kind == "first":
        return FirstPolicy()
    if settings.kind == "ranking":
        return RankingPolicy(settings.order, arms, where=f"{where}.order")
    if settings.kind == "segment_campaign":
        return _campaign(settings, arms, schema, where)
    return UniformPolicy()


def _campaign(settings: Baseline, arms: Sequence[Arm], schema: FactSchema, where: str) -> DeclaredCampaign:
    campaigns = [(epoch(campaign.starts), campaign.offers) for campaign in settings.campaigns]
    for (earlier, _), (later, _) in pairwise(campaigns):
        if later <= earlier:
            raise SettingsError("must start one after the other", where=f"{where}.campaigns")
    values = [segment for _, offers in campaigns for segment in offers]
    segments = by_fact(settings.fact, values, settings.cuts, schema, where=where)
    return DeclaredCampaign(segments, campaigns, arms, where=f"{where}.campaigns")


def _check_keys(settings: Baseline, where: str) -> None:
    read = _KEYS[settings.kind]
    for key in ("arm", "order", "fact", "cuts", "campaigns"):
        given = bool(getattr(settings, key))
        if given and key not in read:
            raise SettingsError(
                f'has no effect on kind "{settings.kind}"', where=f"{where}.{key}", allowed=", ".join(read) or "no key"
            )
        if not given and key in read and key != "cuts":
            raise SettingsError(f'is missing for kind "{settings.kind}"', where=f"{where}.{key}")
