"""The learner: matured decisions in, checkpoints out, each decision learned exactly once.

It keeps a regressor in memory, learns batch after batch, and every `publish_every_s` commits one checkpoint: model,
manifest, sparse weights, and the marks of what was learned, in one transaction under a fenced lease. Whatever happens
before the commit is forgotten whole, whatever happens after it is durable whole; a new learner goes on from the newest
model. The order is (matures_at, id), so that the weights depend on the log and the settings, not on batches,
checkpoints or crashes.

New features, rewards or VW options begin a new lineage: a model is learned anew from every decision that the newest
model has learned, in the same order, before the next one is published. A newest model that was quarantined, or whose
bytes are damaged or gone, is replaced in the same way. The marks in the log stay as they are meanwhile: they say what
the newest model has learned, which the new lineage has too as soon as it publishes; a crash before that changes
nothing.

A decision that cannot be learned is quarantined with the reason, and the others are learned as if it had never been
there. Once it is released (`nba quarantine replay`) it would come too late in the order: so a new lineage begins, which
learns everything anew with that decision in its place. The weights are thus always those of learning, in order, every
decision that is not in quarantine.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from bandit_nba.catalogue import FactSchema
from bandit_nba.decide.policy import Policy
from bandit_nba.errors import ModelError
from bandit_nba.learn.careful import CarefulRegressor
from bandit_nba.learn.definition import RewardDefinition
from bandit_nba.learn.examples import ExampleMaker
from bandit_nba.learn.guard import check_bytes
from bandit_nba.learn.log import START, Checkpoint, Claim, LearningLog, LoggedBatch, Poison, Position, Waiting
from bandit_nba.learn.manifest import Probe, StoredModel
from bandit_nba.learn.options import vw_arguments
from bandit_nba.learn.parts import joined
from bandit_nba.learn.registry import Learned, Lineage, package, unfit
from bandit_nba.learn.typical import RunningMeans

log = logging.getLogger("nba.learner")

RESTS = 10
"""After a checkpoint an early one waits so many times as long as that one took."""
EARLIEST = 0.25
"""And for this share of the time between two that were asked for: models are kept for good, and take room."""


@dataclass(frozen=True)
class LearnReport:
    """What one step did.

    held: False while another learner has the lease. examples: learned by this step, durable once published. lag_s: by
    how long the oldest decision that waits to be published is overdue. published: the version of a new model.
    set_aside: decisions that cannot be learned. to_relearn: decisions that a new lineage has yet to learn anew.
    """

    held: bool
    examples: int = 0
    lag_s: float = 0.0
    published: str | None = None
    set_aside: tuple[str, ...] = ()
    to_relearn: int = 0


@dataclass
class _Memory:
    """What was learned beyond the newest model; dropped whole when anything fails.

    relearn: what a new lineage has yet to learn; None for none. renewed: whether a new lineage is to be published even
    if nothing has matured since. released: those of them that left quarantine. position: behind the last decision read.
    oldest: its matures_at, of those pending.
    """

    fence: int
    careful: CarefulRegressor
    parent: str
    learned: Learned
    probes: tuple[Probe, ...] = ()
    relearn: Waiting | None = None
    renewed: bool = False
    released: Sequence[str] = ()
    position: Position = START
    oldest: float | None = None
    pending: list[str] = field(default_factory=list)
    poison: list[Poison] = field(default_factory=list)
    never: list[str] = field(default_factory=list)


def lineage_of(policy: Policy, rewards: RewardDefinition, *, feature_version: str) -> Lineage:
    """What all models under these settings share."""
    return Lineage(
        features=policy.features,
        learning=policy.learning,
        vw_args=vw_arguments(policy.features, policy.learning),
        feature_version=feature_version,
        reward_version=rewards.version,
        reward_range=rewards.range,
        members=policy.ensemble,
    )


class Learner:
    """Learns one policy's regressor from one log; call `step` again and again, never from two threads at a time.

    schema: the facts of today's catalogue. batch: decisions per step. enough_pending, most_pending: decisions per
    checkpoint. Their marks hold the database's write lock for about 10 us each, in which nobody can decide: so enough
    are published before it is time to, at most four times as often as asked, and as long as making checkpoints takes a
    tenth of the time at most. With 3,000 instead of 20,000 the slowest of 100 answers under full load took 50 ms
    instead of 95. Beyond most they are published in any case.

    Raises
    ------
    SettingsError
        If features and schema do not fit, or a VW option is not allowed.
    """

    def __init__(
        self,
        log: LearningLog,
        *,
        policy: Policy,
        rewards: RewardDefinition,
        schema: FactSchema,
        clock: Callable[[], float],
        publish_every_s: float = 2.0,
        batch: int = 2_000,
        enough_pending: int = 3_000,
        most_pending: int = 20_000,
    ) -> None:
        self._log = log
        self._clock = clock
        self._publish_every_s = publish_every_s
        self._batch = batch
        self._enough_pending = enough_pending
        self._most_pending = most_pending
        self._maker = ExampleMaker(policy.features, schema, rewards, catalogue=log.catalogue)
        self.lineage = lineage_of(policy, rewards, feature_version=self._maker.featuriser.version)
        self._memory: _Memory | None = None
        self._published_at = float("-inf")
        self._rest_s = 0.0

    def step(self) -> LearnReport:
        """Learn the next batch, and publish where it is time to.

        Raises
        ------
        StoreError
            If the store cannot be read or written; the next step goes on from the newest model.
        ModelError
            If so many rows of a batch cannot be learned that it is no matter of single rows, or the model fails the
            checks that it must pass before it serves; nothing is committed.
        """
        return self._guarded(finish=False)

    def finish(self) -> LearnReport:
        """Publish what is learned but not published yet, and let another learner begin at once."""
        report = self._guarded(finish=True)
        self._memory = None
        self._log.release()
        return report

    def _guarded(self, *, finish: bool) -> LearnReport:
        claim = self._log.claim()
        if claim is None:
            self._memory = None
            return LearnReport(held=False)
        try:
            return self._step(claim, finish=finish)
        except BaseException:
            self._memory = None  # a commit that failed may have happened: only the store knows
            raise

    def _step(self, claim: Claim, *, finish: bool) -> LearnReport:
        memory = self._memory
        if memory is None or memory.fence != claim.fence or (claim.released and not memory.released):
            memory = self._memory = self._resumed(claim)
        before = memory.learned.examples
        poison = [] if finish else self._learn_next(memory, claim)
        report = LearnReport(
            held=True,
            examples=memory.learned.examples - before,
            lag_s=0.0 if memory.oldest is None else claim.horizon - memory.oldest,
            set_aside=tuple(p.decision for p in poison),
            to_relearn=len(memory.relearn or ()),
        )
        begun = self._clock()
        checkpoint = self._checkpoint(memory) if finish or self._is_due(memory) else Checkpoint()
        if not checkpoint:
            return report
        if not self._log.commit(claim, checkpoint):
            self._memory = None
            return LearnReport(held=False)
        self._rest_s = RESTS * (self._clock() - begun)
        return replace(report, published=self._durable(memory, checkpoint))

    def _resumed(self, claim: Claim) -> _Memory:
        """Go on from the newest model, or begin a lineage."""
        newest = self._log.newest()
        anew = newest is None or bool(claim.released) or bool(unfit(newest, self.lineage))
        careful = None if newest is None or anew else self._loaded(newest)
        if newest is None or careful is None:
            waiting = self._log.learned()
            careful = CarefulRegressor(self._maker, self.lineage)
            return _Memory(
                fence=claim.fence,
                careful=careful,
                parent="",
                learned=Learned(),
                relearn=waiting,
                renewed=bool(waiting),
                released=claim.released,
            )
        manifest = newest.manifest
        return _Memory(
            fence=claim.fence,
            careful=careful,
            parent=manifest.version,
            learned=Learned.of(manifest),
            probes=manifest.probes,
        )

    def _loaded(self, stored: StoredModel) -> CarefulRegressor | None:
        """The model in VW, ready to learn on; None where its bytes give other weights than those published with it."""
        means = RunningMeans(stored.manifest.means, examples=stored.manifest.examples_learned)
        try:
            careful = CarefulRegressor(self._maker, self.lineage, model=stored.model, means=means)
            weights = (careful.regressor.weights(), *careful.regressor.member_weights())
            check_bytes(
                "weights in VW's bytes",
                joined([one.to_bytes() for one in weights]),
                stored.manifest.sparse_length,
                stored.manifest.sparse_sha256,
            )
        except ModelError as error:
            log.error("model %s cannot be gone on from; all is learned anew: %s", stored.manifest.version, error)
            return None
        return careful

    def _learn_next(self, memory: _Memory, claim: Claim) -> list[Poison]:
        if memory.relearn:
            return _learn(memory, self._log.batch(memory.relearn.take(self._batch)))
        batch = self._log.matured(claim, after=memory.position, limit=self._batch)
        if not len(batch):
            return []
        poison = _learn(memory, batch)
        memory.position = batch.last
        memory.oldest = float(batch.windows.closes_at[0]) if memory.oldest is None else memory.oldest
        failed = {p.decision for p in poison}
        for decision, facts in zip(batch.windows.ids, batch.facts, strict=True):
            if decision not in failed:
                (memory.pending if facts is not None else memory.never).append(decision)
        return poison

    def _is_due(self, memory: _Memory) -> bool:
        waited_s, pending = self._clock() - self._published_at, len(memory.pending)
        if waited_s >= self._publish_every_s or memory.renewed or pending >= self._most_pending:
            return True
        return pending >= self._enough_pending and waited_s >= max(self._rest_s, EARLIEST * self._publish_every_s)

    def _checkpoint(self, memory: _Memory) -> Checkpoint:
        """What there is to commit: nothing while a new lineage has not caught up."""
        if memory.relearn:
            return Checkpoint()
        model, careful = None, memory.careful
        if careful.recent is not None and (memory.pending or memory.renewed):
            model = package(
                careful.regressor.serialize(),
                careful.regressor.weights(),
                lineage=self.lineage,
                parent=memory.parent,
                learned=memory.learned,
                recent=careful.recent,
                earlier=memory.probes,
                predict=careful.regressor.predict,
                means=careful.means.means(),
                members=careful.regressor.member_weights(),
                created_at=self._clock(),
            )
        return Checkpoint(
            model=model,
            learned=memory.pending,
            quarantined=memory.poison,
            released=memory.released if model is not None else (),
            never=memory.never,
        )

    def _durable(self, memory: _Memory, checkpoint: Checkpoint) -> str | None:
        """Forget what no longer waits; the position goes back, since decisions may have been logged late."""
        memory.pending, memory.poison, memory.never = [], [], []
        memory.position, memory.oldest, memory.renewed, memory.released = START, None, False, ()
        if checkpoint.model is None:
            return None
        self._published_at = self._clock()
        memory.parent, memory.probes = checkpoint.model.manifest.version, checkpoint.model.manifest.probes
        return memory.parent


def _learn(memory: _Memory, batch: LoggedBatch) -> list[Poison]:
    """Learn what has facts and can be learned."""
    batch = batch.with_facts()
    poison = memory.careful.learn(batch)
    failed = {p.decision for p in poison}
    kept = [i for i, decision in enumerate(batch.windows.ids) if decision not in failed]
    memory.learned = memory.learned.more(
        batch.windows.opens_at[kept],
        [batch.arms[i] for i in kept],
        inline=[batch.inline[i] is not None for i in kept] if batch.inline else (),
    )
    memory.poison += poison
    return poison
