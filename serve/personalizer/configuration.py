"""Personalizer's service configuration and learning settings: told from our files, changed live where that is possible.

Live are explorationPercentage and learningMode: both are the policy's, which replicas take from the store while they
run (see `online.catalogue_feed`); policy.toml is replaced as `nba promote` replaces it, the old one is kept. All else
stands in files that the service reads when it starts: another value is refused, and the file named.
"""

import math
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import msgspec
from msgspec import UNSET

from bandit_nba.decide.policy import Baseline, Exploration, Learning, Mixture, Policy
from bandit_nba.errors import InputError, NbaError
from bandit_nba.learn.options import vw_arguments
from bandit_nba.online import definitions
from bandit_nba.online.answering import moment
from bandit_nba.online.replica import Replica
from bandit_nba.promote.files import install
from bandit_nba.promote.policy_file import policy_toml
from bandit_nba.settings import seconds
from bandit_nba.store import audit_log
from bandit_nba.store.registry import definitions as definition_store
from bandit_nba.workspace.agreement import policy_problems
from serve.endpoint import Call, Reply
from serve.personalizer.admin_wire import PolicyContract, ServiceConfiguration
from serve.routes.models import actor

_SERVICE = msgspec.json.Decoder(ServiceConfiguration)
_POLICY = msgspec.json.Decoder(PolicyContract)
_AGGREGATIONS = {"first": "earliest"}
_FILES: Mapping[str, tuple[str, str]] = {
    "default_reward": ("defaultReward", "rewards.toml (default)"),
    "reward_aggregation": ("rewardAggregation", "rewards.toml (aggregation)"),
    "reward_wait_time": ("rewardWaitTime", "rewards.toml (wait)"),
    "model_export_frequency": ("modelExportFrequency", "service.toml (publish_every)"),
    "log_retention_days": ("logRetentionDays", ""),
    "model_retrain_days": ("modelRetrainDays", ""),
    "is_auto_optimization_enabled": ("isAutoOptimizationEnabled", ""),
    "log_mirror_enabled": ("logMirrorEnabled", ""),
}
_DURATIONS = frozenset({"reward_wait_time", "model_export_frequency"})


@dataclass(frozen=True)
class Configuration:
    """What the calls do for one workspace."""

    replica: Replica
    channel: str

    async def service(self, call: Call) -> Reply:
        """The settings as they are."""
        call.caller.require_channel(self.channel)
        return Reply(200, msgspec.json.encode(await self.replica.aside(self._service)))

    async def put_service(self, call: Call) -> Reply:
        """Change what can be changed while the service runs."""
        call.caller.require_channel(self.channel)
        wanted = _SERVICE.decode(call.body)
        return Reply(200, msgspec.json.encode(await self.replica.aside(self._put_service, wanted, actor(call))))

    async def policy(self, call: Call) -> Reply:
        """The learning settings as they are."""
        call.caller.require_channel(self.channel)
        return Reply(200, msgspec.json.encode(contract(self.replica.workspace.policy)))

    async def put_policy(self, call: Call) -> Reply:
        """Rename the learning settings; other arguments need other models, and so a start of the service."""
        call.caller.require_channel(self.channel)
        wanted, policy = _POLICY.decode(call.body), self.replica.workspace.policy
        check_arguments(wanted, policy, where="arguments")
        if wanted.name != policy.name:
            renamed = msgspec.structs.replace(policy, name=wanted.name)
            await self.replica.aside(put_in_force, self.replica, renamed, who=actor(call), why="renamed")
        return Reply(200, msgspec.json.encode(contract(self.replica.workspace.policy)))

    async def reset_policy(self, call: Call) -> Reply:
        """Where the learning settings are the defaults already, that is all there is to do."""
        call.caller.require_channel(self.channel)
        policy = self.replica.workspace.policy
        if policy.learning != Learning():
            raise _in_file("arguments", shlex.join(_arguments(policy)), "policy.toml ([learning])")
        return Reply(200, msgspec.json.encode(contract(policy)))

    def _service(self) -> ServiceConfiguration:
        workspace, replica = self.replica.workspace, self.replica
        with replica.database.read() as connection:
            since = definition_store.policy_since(connection)
        rewards = workspace.rewards
        wait = rewards.waits.get(self.channel, rewards.wait)
        wait_s = rewards.wait_s(self.channel)
        return ServiceConfiguration(
            default_reward=rewards.default,
            exploration_percentage=even_share(workspace.policy.exploration),
            log_retention_days=-1,
            model_export_frequency=workspace.service.publish_every,
            model_retrain_days=0,
            reward_aggregation=_AGGREGATIONS.get(rewards.aggregation, rewards.aggregation),
            reward_wait_time=wait if seconds(wait, where="wait") == wait_s else f"PT{wait_s:g}S",
            learning_mode="Apprentice" if workspace.policy.mixture.apprentice else "Online",
            is_auto_optimization_enabled=False,
            log_mirror_enabled=False,
            last_configuration_edit_date=None if since is None else moment(since),
        )

    def _put_service(self, wanted: ServiceConfiguration, who: str) -> ServiceConfiguration:
        found = self._service()
        for name, (said, file) in _FILES.items():
            now, new = getattr(found, name), getattr(wanted, name)
            if new is not UNSET and not _same(name, now, new):
                raise _in_file(said, now, file)
        policy = self.replica.workspace.policy
        changed = _explored(policy, wanted.exploration_percentage)
        if wanted.learning_mode is not UNSET:
            changed = _moded(changed, wanted.learning_mode)
        if changed != policy:
            put_in_force(self.replica, changed, who=who, why="service configuration")
        return self._service()


def put_in_force(replica: Replica, policy: Policy, *, who: str, why: str) -> None:
    """Let this policy act, in the file and on all replicas; it must not need other models.

    Raises
    ------
    InputError
        If it does not fit the workspace; nothing has changed then.
    StoreError
        If it cannot be written.
    """
    workspace = replica.workspace
    for problem in policy_problems(policy, workspace.catalogue, workspace.rewards, where="policy.toml"):
        raise InputError(problem.what, where=problem.where, got=problem.got, allowed=problem.allowed, hint=problem.hint)
    if not definitions.same_models(policy, workspace.policy):
        raise InputError("needs other models", where="policy.toml", hint="edit the file and start the service again")
    content = policy_toml(policy, comments=[f"Changed over HTTP: {why}."])
    install(workspace.path, content.encode(), old_version=workspace.policy.version)
    definitions.promote(policy, replica.database, clock=replica.now_s)
    with replica.database.write() as connection:
        audit_log.append(
            connection,
            now_s=replica.now_s(),
            actor=who,
            action="policy.change",
            subject=policy.version,
            detail={"before": workspace.policy.version, "why": why},
        )
    replica.catalogues.follow()


def contract(policy: Policy) -> PolicyContract:
    """The learning settings of a policy."""
    return PolicyContract(name=policy.name, arguments=shlex.join(_arguments(policy)))


def check_arguments(wanted: PolicyContract, policy: Policy, *, where: str) -> None:
    """Refuse arguments that the models at hand were not learned with."""
    try:
        said = shlex.split(wanted.arguments)
    except ValueError:
        raise InputError("are no arguments", where=where, got=wanted.arguments[:200]) from None
    if sorted(_options(said)) != sorted(_options(list(_arguments(policy)))):
        raise _in_file(where, shlex.join(_arguments(policy)), "policy.toml ([features], [learning])")


def even_share(exploration: Exploration) -> float:
    """The share of events that are drawn evenly among all actions, by the floor and by epsilon."""
    if exploration.kind == "epsilon_greedy":
        return 1.0 - (1.0 - exploration.floor) * (1.0 - exploration.epsilon)
    return exploration.floor


def _explored(policy: Policy, share: float) -> Policy:
    """The policy with that share drawn evenly: by epsilon where it has one, otherwise by the floor."""
    exploration = policy.exploration
    if math.isclose(share, even_share(exploration), abs_tol=1e-9):
        return policy
    if not 0.0 <= share <= 1.0:
        raise InputError("is no share", where="explorationPercentage", got=share, allowed="0 to 1")
    if exploration.kind != "epsilon_greedy":
        return msgspec.structs.replace(policy, exploration=msgspec.structs.replace(exploration, floor=share))
    floor = exploration.floor
    if share < floor:
        raise _in_file("explorationPercentage", floor, "policy.toml (exploration.floor), which is the least")
    epsilon = (share - floor) / (1.0 - floor) if floor < 1.0 else 0.0
    return msgspec.structs.replace(policy, exploration=msgspec.structs.replace(exploration, epsilon=epsilon))


def _moded(policy: Policy, mode: object) -> Policy:
    """The policy in another learning mode; an apprentice's master is the first action of each call."""
    if mode not in ("Online", "Apprentice"):
        raise InputError("is not offered", where="learningMode", got=str(mode)[:100], allowed="Online, Apprentice")
    apprentice = mode == "Apprentice"
    if policy.mixture.apprentice == apprentice:
        return policy
    mixture: Mixture = msgspec.structs.replace(policy.mixture, apprentice=apprentice)
    baseline = Baseline(kind="first") if apprentice else policy.baseline
    return msgspec.structs.replace(policy, mixture=mixture, baseline=baseline)


def _same(name: str, now: object, new: object) -> bool:
    if name in _DURATIONS:
        try:
            return seconds(str(now), where=name) == seconds(str(new), where=name)
        except NbaError:
            said, _ = _FILES[name]
            raise InputError("is no ISO-8601 duration", where=said, got=str(new)[:100], allowed="PT10M") from None
    return now == new


def _in_file(what: str, now: object, file: str) -> InputError:
    """What cannot be changed while the service runs."""
    hint = f"edit {file} and start the service again" if file else "there is no other value here"
    return InputError("cannot be changed while the service runs", where=what, allowed=f"{now}", hint=hint)


def _arguments(policy: Policy) -> tuple[str, ...]:
    return vw_arguments(policy.features, policy.learning)


def _options(arguments: list[str]) -> Iterator[tuple[str, ...]]:
    """Each option with its values: their order does not matter."""
    option: list[str] = []
    for one in arguments:
        if one.startswith("-") and not one[1:2].isdigit() and option:
            yield tuple(option)
            option = []
        option.append(one)
    if option:
        yield tuple(option)
