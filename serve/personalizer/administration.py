"""The addresses of the vendor's administration client, second generation."""

from dataclasses import dataclass, field
from typing import Any

from bandit_nba.access.scopes import Scope
from bandit_nba.online.replica import Replica
from serve import problem as problems
from serve.endpoint import JSON, MIB, OCTETS, Handler, Operation
from serve.parameters import Free, Parameters
from serve.personalizer import admin_wire as wire
from serve.personalizer.configuration import Configuration
from serve.personalizer.errors import explained
from serve.personalizer.evaluations import Evaluations
from serve.personalizer.events import SECOND, VERSION, channel_of
from serve.personalizer.jobs import Jobs
from serve.personalizer.model_file import ModelFile

LARGEST_MODEL = 64 * MIB
_PAGING: Parameters = {
    "top": Free(kind="integer", low=1, says="At most so many."),
    "skip": Free(kind="integer", default="0", says="Leave out so many of the newest."),
}


def operations(replica: Replica) -> list[Operation]:
    """All of them, none where the workspace does not offer them. Reading needs the scope report, changing admin."""
    settings = replica.workspace.service.personalizer
    if settings is None:
        return []
    channel = channel_of(settings, replica)
    configuration = Configuration(replica, channel)
    model = ModelFile(replica, channel)
    jobs = Evaluations(replica, channel, settings.context, Jobs(replica))
    return [*_configurations(configuration, jobs), *_evaluations(jobs), *_importances(jobs), *_model(model)]


def _configurations(configuration: Configuration, jobs: Evaluations) -> list[Operation]:
    service = _Address("/configurations/service", wire.ServiceConfiguration, shows=_SERVICE)
    policy = _Address("/configurations/policy", wire.PolicyContract, shows=_POLICY)
    return [
        service.read("getServiceConfiguration", "The service's configuration.", configuration.service),
        service.write("PUT", "putServiceConfiguration", "Change it.", configuration.put_service, _SERVICE),
        policy.read("getLearningSettings", "The learning settings.", configuration.policy),
        policy.write("PUT", "putLearningSettings", "Change them.", configuration.put_policy, _POLICY),
        policy.write("DELETE", "resetLearningSettings", "The defaults.", configuration.reset_policy),
        _Address("/configurations/applyFromEvaluation", wire.PolicyReference).write(
            "POST",
            "applyFromEvaluation",
            "Let a judged policy act.",
            jobs.apply,
            {"evaluationId": "week-18", "policyName": "squarecb_scale_100"},
        ),
    ]


def _evaluations(jobs: Evaluations) -> list[Operation]:
    one = _Address("/evaluations/{evaluationId}", wire.Evaluation, shows=_EVALUATION)
    many = _Address("/evaluations", wire.EvaluationList, shows={"value": [_EVALUATION_BRIEF]})
    window: Parameters = {
        "startTime": Free(kind="moment", required=True),
        "endTime": Free(kind="moment", required=True),
        "intervalInMinutes": ("5", "60", "360", "720", "1440"),
        "window": ("Expanding", "Rolling"),
    }
    asked = {"name": "Week 18", "startTime": "2026-04-27T00:00:00Z", "endTime": "2026-05-04T00:00:00Z"}
    create = _Address("/evaluations/{evaluationId}", wire.EvaluationRequest)
    return [
        one.read("getEvaluation", "An evaluation.", jobs.get, query=window),
        create.write("PUT", "createEvaluation", "Judge policies on a part of the log.", jobs.create, asked, status=200),
        create.write("DELETE", "deleteEvaluation", "Remove an evaluation.", jobs.delete),
        many.read("listEvaluations", "Evaluations, newest first.", jobs.listing, query={"filter": Free(), **_PAGING}),
    ]


def _importances(jobs: Evaluations) -> list[Operation]:
    one = _Address("/featureImportances/{featureImportanceId}", wire.Importance, shows=_IMPORTANCE)
    many = _Address("/featureImportances", wire.ImportanceList, shows={"value": [_JOB]})
    asked = {"name": "Week 18", "startTime": "2026-04-27T00:00:00Z", "endTime": "2026-05-04T00:00:00Z"}
    create = _Address("/featureImportances/{featureImportanceId}", wire.ImportanceRequest)
    return [
        one.read("getFeatureImportance", "How much features matter.", jobs.get_importance),
        create.write("PUT", "createFeatureImportance", "Weigh features.", jobs.create_importance, asked, status=200),
        create.write("DELETE", "deleteFeatureImportance", "Remove a job.", jobs.delete_importance),
        many.read("listFeatureImportances", "Jobs, newest first.", jobs.list_importances, query=_PAGING),
    ]


def _model(model: ModelFile) -> list[Operation]:
    file = _Address("/model", bytes, media=OCTETS)
    made = _Address("/model/properties", wire.ModelProperties, shows=_MADE)
    log = _Address("/logs/properties", wire.LogProperties, shows=_LOG)
    return [
        file.read("exportModel", "The model's file.", model.export, query={"signed": ("false", "true")}),
        file.write("PUT", "importModel", "Let an exported model serve again.", model.put, b""),
        file.write("DELETE", "resetModel", "Let no model serve.", model.reset),
        made.read("getModelProperties", "When the model was made.", model.properties),
        log.read("getLogProperties", "From when to when there are events.", model.log_properties),
        _Address("/logs", bytes).write("DELETE", "deleteLogs", "Refused: 400.", model.delete_log),
    ]


@dataclass(frozen=True)
class _Address:
    """One address. kind: what it is about, which is read, and written where a body goes with it."""

    path: str
    kind: Any
    shows: Any = None
    media: str = JSON
    refuses: tuple[problems.Kind, ...] = field(default=problems.OF_STORE)

    def read(self, name: str, summary: str, handler: Handler, *, query: Parameters | None = None) -> Operation:
        """Tell it."""
        return self._made("GET", name, summary, handler, scope="report", query=query, replies={200: (self.kind,)})

    def write(
        self, method: str, name: str, summary: str, handler: Handler, example: Any = None, *, status: int = 0
    ) -> Operation:
        """Change it; the vendor's clients read an answer from configurations alone."""
        configuration = self.shows is not None
        replies = {200: (self.kind,)} if configuration else {status or 204: ()}
        takes = () if example is None else (self.kind,)
        return self._made(method, name, summary, handler, scope="admin", replies=replies, takes=takes, example=example)

    def _made(
        self,
        method: str,
        name: str,
        summary: str,
        handler: Handler,
        *,
        scope: Scope,
        replies: dict[int, tuple[Any, ...]],
        query: Parameters | None = None,
        takes: tuple[Any, ...] = (),
        example: Any = None,
    ) -> Operation:
        return Operation(
            method=method,
            path=f"{SECOND}{self.path}",
            name=f"personalizer{name[0].upper()}{name[1:]}",
            scope=scope,
            summary=f"Personalizer's administration: {summary[0].lower()}{summary[1:]}",
            handler=handler,
            takes=takes,
            media_types=(self.media,),
            limit_bytes=LARGEST_MODEL if self.media == OCTETS else MIB,
            replies=replies,
            answers=self.media,
            refuses=(problems.REFUSED, problems.MALFORMED, problems.UNKNOWN_ID, *self.refuses),
            query={"api-version": VERSION, **(query or {})},
            example=example or None,
            shows=self.shows if replies.get(200) else None,
            explain=explained,
        )


_SERVICE = {
    "defaultReward": 0.0,
    "explorationPercentage": 0.05,
    "logRetentionDays": -1,
    "modelExportFrequency": "PT5S",
    "modelRetrainDays": 0,
    "rewardAggregation": "earliest",
    "rewardWaitTime": "PT10M",
    "learningMode": "Online",
}
_POLICY = {"name": "personalizer", "arguments": "--cb_adf --cb_type mtr --bit_precision 20 --interactions RA"}
_JOB = {
    "id": "week-18",
    "name": "Week 18",
    "creationTime": "2026-05-04T09:30:00Z",
    "startTime": "2026-04-27T00:00:00Z",
    "endTime": "2026-05-04T00:00:00Z",
    "status": "Succeeded",
}
_EVALUATION_BRIEF = {**_JOB, "evaluationType": "Manual"}
_VALUE = {"expectedReward": 0.41, "confidenceInterval": [0.38, 0.44]}
_EVALUATION = {
    **_EVALUATION_BRIEF,
    "description": "Judged on 4,000 events.",
    "optimalPolicy": "online",
    "content": {
        "startTime": "2026-04-27T00:00:00Z",
        "endTime": "2026-05-04T00:00:00Z",
        "intervalInMinutes": 1440,
        "value": [
            {
                "name": "online",
                "arguments": _POLICY["arguments"],
                "policySource": "Online",
                "slotId": "",
                "summary": _VALUE,
                "timeseries": {"data": [{**_VALUE, "timeStamp": "2026-04-28T00:00:00Z"}]},
            }
        ],
    },
}
_IMPORTANCE = {
    **_JOB,
    "description": "Model 0b5c1e7f9a2d over 1,000 events.",
    "featureScores": [{"featureName": "device.os", "namespace": "context", "score": 0.08}],
}
_MADE = {"creationTime": "2026-05-04T09:30:02Z", "lastModifiedTime": "2026-05-04T09:30:02Z"}
_LOG = {"dateRange": {"from": "2026-04-01T00:00:11Z", "to": "2026-05-04T09:30:00Z"}}
