"""Decisions of the world as log records, and the definitions that they name, in memory."""

from collections.abc import Sequence

import msgspec
import numpy as np

from bandit_nba.decide.audit.recompute import DefinitionKind
from bandit_nba.decide.audit.run import AuditResult, audit
from bandit_nba.decide.batch import Decisions
from bandit_nba.decide.choice.salt import Salt
from bandit_nba.decide.policy import Policy
from bandit_nba.decide.record import DecisionRecord, Versions, records
from bandit_nba.decide.scoring import Scorer
from bandit_nba.errors import UnknownIdError
from bandit_nba.settings import version_of
from tests.decide import decide_world as world

REWARD = b'{"outcomes":{"accept":{"reward":1.0}},"unit":"response"}'
REWARD_VERSION = version_of(msgspec.json.decode(REWARD))


class Memory:
    """A source of definitions and models in memory."""

    def __init__(self, *policies: Policy) -> None:
        self.definitions = {
            ("catalogue", world.CATALOGUE.version): msgspec.json.encode(world.CATALOGUE, order="sorted")
        }
        for policy in policies or (world.POLICY,):
            self.definitions["policy", policy.version] = msgspec.json.encode(policy, order="sorted")
        self.definitions["reward", REWARD_VERSION] = REWARD
        self.models: dict[str, Scorer] = {"exact": world.ExactModel()}
        self.salts = {"s1": world.SALT}

    def definition(self, kind: DefinitionKind, version: str) -> bytes | None:
        return self.definitions.get((kind, version))

    def scorer(self, version: str) -> Scorer:
        if version not in self.models:
            raise UnknownIdError("no such model", got=version)
        return self.models[version]

    def salt(self, salt_id: str) -> Salt | None:
        return self.salts.get(salt_id)


def logged_as(decisions: Decisions, versions: Versions, *, inline_actions: bytes | None = None) -> list[DecisionRecord]:
    """Records without what the service adds."""
    at = decisions.requests.decided_at
    return records(
        decisions,
        versions=versions,
        valid_until=at + 60,
        matures_at=at + 600,
        activate_by=np.full(len(at), np.nan),
        payload_sha256=[b"0" * 32] * len(at),
        answers=[b"{}"] * len(at),
        inline_actions=inline_actions,
    )


def audited(log: Sequence[DecisionRecord], source: Memory | None = None) -> AuditResult:
    return audit(log, source or Memory(), rng=np.random.default_rng(0))
