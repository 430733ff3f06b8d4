"""The model that a policy is judged with: frozen, and older than every decision that judges it."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from bandit_nba.catalogue import Catalogue
from bandit_nba.decide.columns import Bools, Floats
from bandit_nba.decide.features.featuriser import Featuriser
from bandit_nba.decide.policy import Policy
from bandit_nba.decide.scoring import FeatureRows, NoModel, Scorer
from bandit_nba.errors import RefusedError
from bandit_nba.evaluate.log import LoggedDecisions
from bandit_nba.learn.compile import compiled
from bandit_nba.learn.definition import RewardDefinition
from bandit_nba.learn.ensemble import Ensemble
from bandit_nba.learn.manifest import Manifest
from bandit_nba.learn.options import vw_arguments
from bandit_nba.promote.reading import Reading
from bandit_nba.store.database import Database
from bandit_nba.store.registry import models
from bandit_nba.workspace import Workspace

JUDGED_SHARE = 0.25
"""The newest model is taken that leaves at least this share of the decisions to judge it on."""


def fits(manifest: Manifest, policy: Policy, catalogue: Catalogue, rewards: RewardDefinition) -> bool:
    """Whether a published model is one of this policy's own: same features, VW options, ensemble and rewards."""
    return (
        manifest.feature_version == Featuriser(policy.features, catalogue.facts).version
        and manifest.vw_args == vw_arguments(policy.features, policy.learning)
        and manifest.reward_version == rewards.version
        and manifest.members == policy.ensemble
    )


def split_at(decided_at: Floats, known: Sequence[Manifest], *, share: float = JUDGED_SHARE) -> float:
    """Where the judged part begins: after the last decision of the newest of `known` that leaves `share` of them.

    `known` newest first. Without such a model: after the first 1 - share of the decisions.

    Raises
    ------
    RefusedError
        If there are too few decisions to cut in two.
    """
    latest = float(np.quantile(decided_at, 1.0 - share))
    split = next((m.learned_until for m in known if decided_at[0] <= m.learned_until < latest), latest)
    if not decided_at[0] <= split < decided_at[-1]:
        raise RefusedError("too few decisions to learn from some and judge on others", got=len(decided_at))
    return split


def newest_fitting(
    known: Sequence[Manifest], policy: Policy, catalogue: Catalogue, rewards: RewardDefinition, *, until_s: float
) -> Manifest | None:
    """The newest of `known` (newest first) that fits the policy and learned from nothing after `until_s`."""
    fitting = (m for m in known if m.learned_until <= until_s and fits(m, policy, catalogue, rewards))
    return next(fitting, None)


def learned_from(log: LoggedDecisions, policy: Policy, catalogue: Catalogue) -> tuple[Scorer, float]:
    """A model learned from the whole of `log` in its order, and the time of the last decision in it.

    It has the ensemble that Thompson sampling asks for. Decisions for arms that the catalogue no longer has teach
    nothing. Without any decision there is no model.

    Raises
    ------
    SettingsError
        If features and catalogue do not fit, or a VW option is not allowed.
    """
    position = {arm.id: k for k, arm in enumerate(catalogue.arms)}
    column = np.array([position.get(name, -1) for name in log.arms], dtype=np.int64)
    known = column[log.arm[log.chosen]] >= 0
    if not known.any():  # an empty log included
        return NoModel(), -np.inf
    featuriser = Featuriser(policy.features, catalogue.facts)
    chosen = column[log.arm[log.chosen]][known]
    made = Ensemble(policy.features, policy.learning, members=policy.ensemble)
    contexts = _kept(featuriser.contexts(log.facts, log.channels), known)
    ids = [log.ids[i] for i in np.flatnonzero(known).tolist()] if policy.ensemble else []
    made.learn(contexts, featuriser.arms(catalogue.arms), chosen, log.reward[known], ids)
    counts = np.bincount(chosen, minlength=len(catalogue.arms))
    scorer = compiled(
        made.weights(),
        made.member_weights(),
        policy.features,
        policy.learning,
        version="from the log",
        examples_learned=len(chosen),
        arm_examples={arm.id: int(n) for arm, n in zip(catalogue.arms, counts, strict=True)},
    )
    return scorer, float(log.decided_at[-1])


def _kept(rows: FeatureRows, keep: Bools) -> FeatureRows:
    """The rows where `keep`, in their order."""
    sizes = np.diff(rows.indptr)
    cells = np.repeat(keep, sizes)
    indptr = np.concatenate([[0], np.cumsum(sizes[keep])]).astype(np.int64)
    return replace(rows, indptr=indptr, terms=rows.terms[cells], values=rows.values[cells])


class Freezer:
    """Cuts a log in two and finds each policy a model that has seen the earlier part alone.

    The newest published model that is a policy's own is taken; where there is none, one is learned here from the
    decisions whose wait was over before the cut.

    Raises
    ------
    RefusedError
        If there are too few decisions to cut in two.
    """

    def __init__(
        self,
        database: Database,
        workspace: Workspace,
        reading: Reading,
        *,
        split: float | None = None,
        share: float = JUDGED_SHARE,
    ) -> None:
        self._database = database
        self._workspace = workspace
        self._known = reading.known
        own = [m for m in reading.known if fits(m, workspace.policy, workspace.catalogue, workspace.rewards)]
        self.split = split_at(reading.log.decided_at, own, share=share) if split is None else split
        self.early = reading.log.between(-np.inf, self.split)
        self._finished = reading.log.between(-np.inf, self.split - longest_wait_s(workspace))

    def named(self, policy: Policy, version: str) -> tuple[Scorer, float]:
        """The model of that version, which an earlier look was made with; one learned here is learned again."""
        found = next((manifest for manifest in self._known if manifest.version == version), None)
        if found is None:
            return learned_from(self._finished, policy, self._workspace.catalogue)
        return models.load_scorer(self._database, found.version), found.learned_until

    def model(self, policy: Policy) -> tuple[Scorer, float]:
        """The model and the time of the last decision that it learned from."""
        workspace = self._workspace
        found = newest_fitting(self._known, policy, workspace.catalogue, workspace.rewards, until_s=self.split)
        if found is not None:
            return models.load_scorer(self._database, found.version), found.learned_until
        return learned_from(self._finished, policy, workspace.catalogue)


def longest_wait_s(workspace: Workspace) -> float:
    """The longest that any decision waits for its outcomes."""
    return max(workspace.rewards.wait_s(channel) for channel in ("", *workspace.service.channels))
