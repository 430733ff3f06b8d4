"""Personalizer's offline evaluations and importances of features: asked for, computed beside the service, told."""

import datetime
import re
from dataclasses import dataclass

import msgspec
import sqlalchemy as sa

from bandit_nba.errors import InputError
from bandit_nba.online.answering import moment
from bandit_nba.online.replica import Replica
from bandit_nba.store.judging_jobs import Job, Kind
from bandit_nba.store.tables import decisions
from serve.endpoint import Call, Reply
from serve.parameters import moment as parsed
from serve.personalizer import admin_wire as wire
from serve.personalizer.configuration import check_arguments, contract, put_in_force
from serve.personalizer.jobs import MOST_LISTED, Jobs
from serve.personalizer.judging import ONLINE, Found, Judged, check_names, evaluated, points, value_of
from serve.personalizer.weighing import Weighed, weighed
from serve.personalizer.wire import MOST_ID
from serve.routes.models import actor

MOST_EVENTS = 200_000
"""More of them are judged by `nba evaluate`, in a process of its own."""

_EVALUATION = msgspec.json.Decoder(wire.EvaluationRequest)
_IMPORTANCE = msgspec.json.Decoder(wire.ImportanceRequest)
_REFERENCE = msgspec.json.Decoder(wire.PolicyReference)
_FOUND = msgspec.json.Decoder(Found)
_WEIGHED = msgspec.json.Decoder(Weighed)
_FILTER = re.compile(r"^(?:metadata=)?evaluationType eq '(Manual|Auto)'$")


@dataclass(frozen=True)
class Evaluations:
    """What the calls do for one workspace. context: the set that undeclared context features go to."""

    replica: Replica
    channel: str
    context: str
    jobs: Jobs

    async def create(self, call: Call) -> Reply:
        """Begin an evaluation."""
        call.caller.require_channel(self.channel)
        asked, name = _EVALUATION.decode(call.body), _id(call, "evaluationId")
        for i, policy in enumerate(asked.policies):
            check_arguments(policy, self.replica.workspace.policy, where=f"policies[{i}].arguments")
        custom = [policy.name for policy in asked.policies]
        check_names(custom)
        job = self._job("evaluation", name, asked.name, asked.start_time, asked.end_time)
        await self.replica.aside(self._check_size, job)

        def compute() -> bytes:
            found = evaluated(
                self.replica,
                self.channel,
                since_s=job.starts_at,
                until_s=job.ends_at,
                custom=custom,
                search=asked.enable_policy_optimization,
            )
            return msgspec.json.encode(found)

        await self.replica.aside(self.jobs.start, job, compute, lambda why: msgspec.json.encode(Found(why)))
        return Reply(200, b"")

    async def get(self, call: Call) -> Reply:
        """An evaluation with what was found."""
        call.caller.require_channel(self.channel)
        job = await self.replica.aside(self.jobs.get, "evaluation", _id(call, "evaluationId"))
        since = parsed(call.query["startTime"], where="startTime").timestamp()
        until = parsed(call.query["endTime"], where="endTime").timestamp()
        found = Found("") if job.content is None else _FOUND.decode(job.content)
        minutes, rolling = int(call.query["intervalInMinutes"]), call.query["window"] == "Rolling"
        brief = self._brief(job)
        results = [self._result(one, since, until, minutes, rolling=rolling) for one in found.policies]
        content = wire.EvaluationContent(
            start_time=moment(max(since, job.starts_at)),
            end_time=moment(min(until, job.ends_at)),
            interval_in_minutes=minutes,
            value=results,
        )
        told = wire.Evaluation(
            **msgspec.structs.asdict(brief),
            description=found.words,
            optimal_policy=found.optimal or None,
            content=content if results else None,
        )
        return Reply(200, msgspec.json.encode(told))

    async def listing(self, call: Call) -> Reply:
        """Evaluations, newest first."""
        call.caller.require_channel(self.channel)
        wanted = _FILTER.match(call.query["filter"]) if call.query["filter"] else None
        if call.query["filter"] and wanted is None:
            raise InputError(
                "cannot be read", where="filter", got=call.query["filter"], allowed="evaluationType eq 'Manual'"
            )
        found = [] if wanted and wanted[1] == "Auto" else await self._listed("evaluation", call)
        return Reply(200, msgspec.json.encode(wire.EvaluationList(value=[self._brief(job) for job in found])))

    async def delete(self, call: Call) -> Reply:
        """Remove an evaluation."""
        return await self._delete("evaluation", "evaluationId", call)

    async def apply(self, call: Call) -> Reply:
        """Let a policy that an evaluation has judged act: its exploration, with the models that are learned anyway."""
        call.caller.require_channel(self.channel)
        await self.replica.aside(self._apply, _REFERENCE.decode(call.body), actor(call))
        return Reply(204, b"")

    async def create_importance(self, call: Call) -> Reply:
        """Begin to weigh features."""
        call.caller.require_channel(self.channel)
        asked, name = _IMPORTANCE.decode(call.body), _id(call, "featureImportanceId")
        job = self._job("importance", name, asked.name, asked.start_time, asked.end_time)
        await self.replica.aside(self._check_size, job)

        def compute() -> bytes:
            found = weighed(self.replica, self.channel, self.context, since_s=job.starts_at, until_s=job.ends_at)
            return msgspec.json.encode(found)

        await self.replica.aside(self.jobs.start, job, compute, lambda why: msgspec.json.encode(Weighed(why)))
        return Reply(200, b"")

    async def get_importance(self, call: Call) -> Reply:
        """Features and how much they matter."""
        call.caller.require_channel(self.channel)
        job = await self.replica.aside(self.jobs.get, "importance", _id(call, "featureImportanceId"))
        found = Weighed("") if job.content is None else _WEIGHED.decode(job.content)
        brief = msgspec.structs.asdict(self._told(job))
        told = wire.Importance(**brief, description=found.words, feature_scores=found.scores)
        return Reply(200, msgspec.json.encode(told))

    async def list_importances(self, call: Call) -> Reply:
        """Importance jobs, newest first."""
        call.caller.require_channel(self.channel)
        found = await self._listed("importance", call)
        return Reply(200, msgspec.json.encode(wire.ImportanceList(value=[self._told(job) for job in found])))

    async def delete_importance(self, call: Call) -> Reply:
        """Remove an importance job."""
        return await self._delete("importance", "featureImportanceId", call)

    async def _delete(self, kind: Kind, parameter: str, call: Call) -> Reply:
        call.caller.require_channel(self.channel)
        await self.replica.aside(self.jobs.delete, kind, _id(call, parameter))
        return Reply(204, b"")

    async def _listed(self, kind: Kind, call: Call) -> list[Job]:
        top = int(call.query["top"] or MOST_LISTED)
        return await self.replica.aside(self.jobs.listing, kind, top=top, skip=int(call.query["skip"]))

    def _job(self, kind: Kind, name: str, title: str, since: datetime.datetime, until: datetime.datetime) -> Job:
        starts, ends = _utc(since).timestamp(), _utc(until).timestamp()
        if not starts < ends:
            raise InputError("ends before it begins", where="endTime", got=until.isoformat(), allowed="after startTime")
        now_s = self.replica.now_s()
        return Job(kind=kind, id=name, name=title, created_at=now_s, starts_at=starts, ends_at=ends, status="Running")

    def _check_size(self, job: Job) -> None:
        within = sa.and_(decisions.c.decided_at >= job.starts_at, decisions.c.decided_at < job.ends_at)
        some = sa.select(decisions.c.id).where(within).limit(MOST_EVENTS + 1).subquery()
        with self.replica.database.read() as connection:
            count = connection.execute(sa.select(sa.func.count()).select_from(some)).scalar_one()
        if count > MOST_EVENTS:
            hint = "ask for a shorter time; `nba evaluate` judges more, in a process of its own"
            raise InputError(
                "there are too many events", where="startTime", allowed=f"at most {MOST_EVENTS:,}", hint=hint
            )

    def _apply(self, wanted: wire.PolicyReference, who: str) -> None:
        job = self.jobs.get("evaluation", wanted.evaluation_id)
        found = Found("") if job.content is None else _FOUND.decode(job.content)
        chosen = next((one for one in found.policies if one.name == wanted.policy_name), None)
        if chosen is None:
            allowed = ", ".join(one.name for one in found.policies)
            raise InputError(
                "was not judged", where="policyName", got=wanted.policy_name[:100], allowed=allowed or "none yet"
            )
        if chosen.name == ONLINE:
            return
        if chosen.exploration is None:
            hint = (
                "for the first action of each call: learningMode Apprentice; for an even draw: explorationPercentage 1"
            )
            raise InputError("learns nothing and cannot be applied", where="policyName", got=chosen.name, hint=hint)
        policy = self.replica.workspace.policy
        if chosen.exploration != policy.exploration:
            changed = msgspec.structs.replace(policy, exploration=chosen.exploration)
            put_in_force(self.replica, changed, who=who, why=f"{chosen.name}, as an evaluation judged it")
        self.jobs.mark("evaluation", job.id, "OptimalPolicyApplied")

    def _told(self, job: Job) -> wire.Job:
        return wire.Job(
            id=job.id,
            name=job.name,
            creation_time=moment(job.created_at),
            start_time=moment(job.starts_at),
            end_time=moment(job.ends_at),
            status=self.jobs.status(job),
        )

    def _brief(self, job: Job) -> wire.EvaluationBrief:
        return wire.EvaluationBrief(**msgspec.structs.asdict(self._told(job)), evaluation_type="Manual")

    def _result(self, one: Judged, since: float, until: float, minutes: int, *, rolling: bool) -> wire.PolicyResult:
        reward_range = self.replica.workspace.rewards.range
        data = []
        for sums in points(one.sums, since_s=since, until_s=until, every_s=60.0 * minutes, rolling=rolling):
            value = value_of(sums, reward_range)
            if value is not None:
                data.append(wire.Point(**msgspec.structs.asdict(value), time_stamp=moment(sums.at)))
        learns = one.source not in ("Baseline", "Random")
        return wire.PolicyResult(
            name=one.name,
            arguments=contract(self.replica.workspace.policy).arguments if learns else "",
            policy_source=one.source,
            slot_id="",
            summary=one.summary,
            timeseries=wire.Series(data=data),
        )


def _id(call: Call, parameter: str) -> str:
    name = call.params[parameter]
    if len(name) > MOST_ID:
        raise InputError("is too long", where=parameter, got=len(name), allowed=f"at most {MOST_ID} characters")
    return name


def _utc(at: datetime.datetime) -> datetime.datetime:
    return at if at.tzinfo else at.replace(tzinfo=datetime.UTC)
