"""The replica's numbers in the exposition format that Prometheus reads.

Labels are operations, statuses, stages, kinds and fates: words of the code. No customer, decision, action or key is
ever a label, so the number of series stays the same whatever is asked.
"""

from collections.abc import Iterator
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from bandit_nba.online.measures import Histogram
from bandit_nba.online.replica import Replica
from bandit_nba.online.status import ReplicaStatus, Status
from serve.traffic import Traffic


def exposition(replica: Replica, traffic: Traffic, status: Status | None) -> bytes:
    """Everything at one moment, as text. status: None where the store cannot be read; the replica's own stays."""
    registry = CollectorRegistry(auto_describe=False)
    of_store = [_gauge("nba_store_readable", "1 while the store can be read.", float(status is not None))]
    of_store += [] if status is None else _of_status(status)
    here = replica.here() if status is None else status.replica
    registry.register(_Collected([*of_store, *_of_here(here), *_of_replica(replica), *_of_traffic(traffic)]))
    return generate_latest(registry)


class _Collected:
    def __init__(self, metrics: list[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        yield from self._metrics


def _of_status(status: Status) -> Iterator[Metric]:
    log, model = status.decisions, status.model
    yield _gauge("nba_learning", "1 while matured decisions are learned.", float(status.learning))
    yield _counter("nba_decisions_logged", "Decisions in the log.", "kind", log.by_kind)
    fates = {
        "immature": log.immature,
        "waiting": log.waiting_to_be_learned,
        "learned": log.learned,
        "never": log.never_learned,
        "overridden": log.overridden,
        "quarantined": log.quarantined,
    }
    yield _gauges("nba_decisions_by_lesson", "Decisions in the log by what they teach.", "lesson", fates)
    yield _counter("nba_outcomes_joined", "Outcomes by what became of them.", "fate", status.outcome_fates)
    yield _gauge("nba_outcomes_logged", "Outcomes in the log.", status.outcomes)
    yield _gauge("nba_customers", "Profiles in the store.", status.customers)
    yield _gauge("nba_learner_alive", "1 while a learner holds the lease.", float(model.learner_alive))
    yield _gauge(
        "nba_learner_lag_seconds", "For how long the oldest matured decision waits to be learned.", model.lag_s
    )
    yield _gauge("nba_model_examples", "Examples that the newest model has learned.", model.examples_learned)
    if model.age_s is not None:
        yield _gauge("nba_model_age_seconds", "Since the newest model was published.", model.age_s)


def _of_here(here: ReplicaStatus) -> Iterator[Metric]:
    yield _gauge(
        "nba_serving_model_examples", "Examples behind the model that serves here.", here.model_examples_learned
    )
    yield _counted("nba_model_swaps", "Models adopted here.", here.model_swaps)
    yield _gauge("nba_models_refused", "Models that this replica refused to serve.", len(here.models_refused))
    yield _counted("nba_registry_failures", "Failed looks at the model registry.", here.registry_failures)
    waiting = {"decisions": here.decisions_waiting, "outcomes": here.outcomes_waiting}
    yield _gauges("nba_queue_depth", "Items that wait for their turn.", "queue", waiting)
    yield _counter("nba_events", "What happened here since the start.", "event", here.counts)


def _of_replica(replica: Replica) -> Iterator[Metric]:
    measures, choices = replica.measures, replica.measures.choices()
    yield _histograms("nba_stage_seconds", "How long a batch stays in each stage.", "stage", measures.stages)
    sizes = HistogramMetricFamily("nba_batch_size", "Decisions that were made together.")
    sizes.add_metric([], _buckets(measures.batch_sizes), measures.batch_sizes.total)
    yield sizes
    yield _counter("nba_arms_removed", "Arms that could not be chosen, by stage.", "stage", choices.removed)
    yield _counted("nba_model_decisions", "Decisions that the model made here.", choices.decisions)
    yield _counted("nba_entropy_nats", "Entropy of what they were drawn from, summed.", choices.entropy_sum)
    yield _counted("nba_effective_arms", "Effective number of arms (e to the entropy), summed.", choices.arms_sum)
    yield _counted("nba_propensity", "Probabilities of what was chosen, summed.", choices.propensity_sum)


def _of_traffic(traffic: Traffic) -> Iterator[Metric]:
    requests = CounterMetricFamily("nba_requests", "Answers by operation and status.", labels=["operation", "status"])
    for (operation, status), count in sorted(traffic.answers.items()):
        requests.add_metric([operation, str(status)], count)
    yield requests
    yield _histograms("nba_request_seconds", "From the request's headers to its answer.", "operation", traffic.seconds)
    yield _counted("nba_clients_gone", "Clients that left before their body was complete.", traffic.gone)


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=value)


def _gauges(name: str, text: str, label: str, values: Any) -> Metric:
    family = GaugeMetricFamily(name, text, labels=[label])
    for key, value in sorted(values.items()):
        family.add_metric([key], value)
    return family


def _counted(name: str, text: str, value: float) -> Metric:
    return CounterMetricFamily(name, text, value=value)


def _counter(name: str, text: str, label: str, values: Any) -> Metric:
    family = CounterMetricFamily(name, text, labels=[label])
    for key, value in sorted(values.items()):
        family.add_metric([key], value)
    return family


def _histograms(name: str, text: str, label: str, values: Any) -> Metric:
    family = HistogramMetricFamily(name, text, labels=[label])
    for key, histogram in sorted(values.items()):
        family.add_metric([key], _buckets(histogram), histogram.total)
    return family


def _buckets(histogram: Histogram) -> list[tuple[str, float]]:
    return [(bound, float(count)) for bound, count in histogram.cumulative()]
