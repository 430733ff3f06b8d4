"""What the vendor's administration client sends and expects. Fields that are not known are passed over."""

import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta
from msgspec import UnsetType as Unset

from bandit_nba.online.messages import NO_CONTROL
from serve.personalizer.wire import MOST_ID

JobStatus = Literal["Succeeded", "Running", "Failed", "NotSubmitted", "Timeout", "OptimalPolicyApplied"]
Source = Literal["Online", "Baseline", "Random", "Custom", "OfflineExperimentation"]
JobName = Annotated[str, Meta(min_length=1, max_length=MOST_ID, pattern=NO_CONTROL)]


class _Wire(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    pass


class ServiceConfiguration(_Wire, frozen=True, kw_only=True):
    """The service's settings, in Personalizer's words. explorationPercentage: from 0 to 1."""

    default_reward: float
    exploration_percentage: float
    log_retention_days: int
    model_export_frequency: str
    model_retrain_days: int
    reward_aggregation: str
    reward_wait_time: str
    learning_mode: str | Unset = UNSET
    is_auto_optimization_enabled: bool | Unset = UNSET
    log_mirror_enabled: bool | Unset = UNSET
    last_configuration_edit_date: datetime.datetime | Unset | None = UNSET


class PolicyContract(_Wire, frozen=True, kw_only=True):
    """Learning settings: a name, and Vowpal Wabbit's arguments."""

    name: JobName
    arguments: Annotated[str, Meta(max_length=4_096)]


class PolicyReference(_Wire, frozen=True, kw_only=True):
    """A policy that an evaluation has judged."""

    evaluation_id: JobName
    policy_name: JobName


class EvaluationRequest(_Wire, frozen=True, kw_only=True):
    """Judge policies on a part of the log."""

    name: JobName
    start_time: datetime.datetime
    end_time: datetime.datetime
    policies: Annotated[list[PolicyContract], Meta(max_length=10)] = []
    enable_policy_optimization: bool = False


class Job(_Wire, frozen=True, kw_only=True):
    """A job and how far it is."""

    id: str
    name: str
    creation_time: datetime.datetime
    start_time: datetime.datetime
    end_time: datetime.datetime
    status: JobStatus


class EvaluationBrief(Job, frozen=True, kw_only=True):
    """An evaluation in a list."""

    evaluation_type: Literal["Manual", "Auto"]


class Summary(_Wire, frozen=True, kw_only=True):
    """What a policy would have earned per event, and both ends of its 95 % interval."""

    expected_reward: float
    confidence_interval: list[float]


class Point(Summary, frozen=True, kw_only=True):
    """The same up to a moment, or over an interval that ends with it."""

    time_stamp: datetime.datetime


class Series(_Wire, frozen=True, kw_only=True):
    """Points in the order of time."""

    data: list[Point]


class PolicyResult(_Wire, frozen=True, kw_only=True):
    """One policy's value."""

    name: str
    arguments: str
    policy_source: Source
    slot_id: str
    summary: Summary
    timeseries: Series


class EvaluationContent(_Wire, frozen=True, kw_only=True):
    """All policies, on the same events."""

    start_time: datetime.datetime
    end_time: datetime.datetime
    interval_in_minutes: int
    value: list[PolicyResult]


class Evaluation(EvaluationBrief, frozen=True, kw_only=True):
    """An evaluation with what was found."""

    description: str
    optimal_policy: str | None
    content: EvaluationContent | None


class EvaluationList(_Wire, frozen=True, kw_only=True):
    """Evaluations, newest first."""

    value: list[EvaluationBrief]


class ImportanceRequest(_Wire, frozen=True, kw_only=True):
    """Weigh features over a part of the log."""

    name: JobName
    start_time: datetime.datetime
    end_time: datetime.datetime


class FeatureScore(_Wire, frozen=True, kw_only=True):
    """How far a feature moves the model's expected reward apart between actions, on average over events."""

    feature_name: str
    namespace: str
    score: float


class Importance(Job, frozen=True, kw_only=True):
    """An importance job with what was found, the weightiest feature first."""

    description: str
    feature_scores: list[FeatureScore]


class ImportanceList(_Wire, frozen=True, kw_only=True):
    """Importance jobs, newest first."""

    value: list[Job]


class ModelProperties(_Wire, frozen=True, kw_only=True):
    """When the model that serves was made, and since when it serves; absent where none does."""

    creation_time: datetime.datetime | Unset = UNSET
    last_modified_time: datetime.datetime | Unset = UNSET


class DateRange(msgspec.Struct, frozen=True, kw_only=True, rename={"since": "from", "until": "to"}):
    """From the first event to the last; absent where there is none."""

    since: datetime.datetime | Unset = UNSET
    until: datetime.datetime | Unset = UNSET


class LogProperties(_Wire, frozen=True, kw_only=True):
    """What the log holds."""

    date_range: DateRange
