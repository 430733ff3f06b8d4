"""What the metrics say is what happened, and no label names a customer, decision or action."""

import asyncio
import logging
import re
from pathlib import Path

import msgspec
import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from bandit_nba.online.measures import Histogram
from bandit_nba.online.replica import Replica
from serve.app import create_app
from serve.logs import JsonLines, request_id
from tests.serve.asgi_client import JSON, Client
from tests.serve.conftest import Clock


def samples(client: Client) -> dict[tuple[str, str], float]:
    """Values by name and the values of its labels."""
    answered = asyncio.run(client.get("/metrics"))
    assert answered.status == 200
    found = {}
    for family in text_string_to_metric_families(answered.body.decode()):
        for sample in family.samples:
            found[sample.name, ",".join(sample.labels.values())] = sample.value
    return found


def test_metrics_tell_what_happened(client: Client) -> None:
    for i in range(5):
        asked = {"decisionId": f"secret-{i}", "customerId": "kd-4711", "channel": "web"}
        asyncio.run(client.post("/v1/decisions", asked))
    asyncio.run(client.post("/v1/decisions", {"channel": "nowhere"}))
    asyncio.run(client.post("/v1/outcomes", {"outcomeId": "o", "decisionId": "secret-0", "type": "accept"}))
    found = samples(client)

    assert found["nba_requests_total", "decide,201"] == 5
    assert found["nba_requests_total", "decide,422"] == 1
    assert found["nba_request_seconds_count", "decide"] == 6
    assert found["nba_decisions_logged_total", "normal"] == 5
    assert found["nba_model_decisions_total", ""] == 5
    assert found["nba_stage_seconds_count", "write"] >= 5
    assert found["nba_batch_size_sum", ""] == 5
    assert found["nba_queue_depth", "decisions"] == 0
    assert found["nba_outcomes_logged", ""] == 1
    assert found["nba_learner_alive", ""] == 0


def test_entropy_and_removed_arms_are_those_of_the_log(client: Client) -> None:
    asyncio.run(client.post("/v1/decisions", {"decisionId": "d", "channel": "web"}))
    logged = asyncio.run(client.get("/v1/decisions/d")).json
    found = samples(client)

    p = np.array([choice["probability"] for choice in logged["choices"]])
    entropy = float(-(p * np.log(p)).sum())
    assert found["nba_entropy_nats_total", ""] == pytest.approx(entropy)
    assert found["nba_effective_arms_total", ""] == pytest.approx(np.exp(entropy))
    assert found["nba_propensity_total", ""] == pytest.approx(logged["probability"])
    removed = {stage: found[name, stage] for name, stage in found if name == "nba_arms_removed_total"}
    assert sum(removed.values()) == len(logged["removed"])


def test_the_number_of_series_does_not_grow_with_what_is_asked(client: Client) -> None:
    def ask(start: int) -> None:
        for i in range(start, start + 20):
            body = {"decisionId": f"d-{i}", "customerId": f"c-{i}", "channel": "web"}
            asyncio.run(client.post("/v1/decisions", body))
            asyncio.run(client.get(f"/v1/decisions/unknown-{i}"))
            asyncio.run(client.get(f"/nothing/{i}"))

    ask(0)
    samples(client)  # asking for metrics is counted, too
    before = set(samples(client))
    ask(20)

    assert set(samples(client)) == before
    text = " ".join(label for _, label in before)
    assert not re.search(r"d-\d|c-\d|kd-4711|unknown|streaming|nothing", text)


def test_a_histogram_counts_at_or_below_each_bound() -> None:
    histogram = Histogram((1.0, 2.0))
    for value in (0.5, 1.0, 1.5, 2.0, 9.0):
        histogram.observe(value)

    assert histogram.cumulative() == [("1", 2), ("2", 4), ("+Inf", 5)]
    assert histogram.total == 14.0


def test_a_request_has_an_id_in_its_answer_and_in_the_log(client: Client) -> None:
    body = {"decisionId": "d", "channel": "web"}
    named = asyncio.run(client.post("/v1/decisions", body, headers={**JSON, "x-request-id": "trace-7"}))
    hostile = asyncio.run(client.post("/v1/decisions", body, headers={**JSON, "x-request-id": "a\r\nb"}))
    unnamed = asyncio.run(client.post("/v1/decisions", body))

    assert named.headers["x-request-id"] == "trace-7"
    assert re.fullmatch("[0-9a-f]{16}", hostile.headers["x-request-id"])
    assert re.fullmatch("[0-9a-f]{16}", unnamed.headers["x-request-id"])
    token = request_id.set("trace-7")
    record = logging.LogRecord("nba.serve", logging.ERROR, "", 0, 'said "%s"\n', ("x",), None)
    line = msgspec.json.decode(JsonLines().format(record))
    request_id.reset(token)
    assert (line["requestId"], line["message"], line["level"]) == ("trace-7", 'said "x"\n', "ERROR")


def test_answers_forbid_caching_sniffing_and_framing(client: Client) -> None:
    for path in ("/v1/status", "/nowhere", "/metrics", "/healthz"):
        headers = asyncio.run(client.get(path)).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"
        assert "default-src 'none'" in headers["content-security-policy"]


def test_a_whole_app_has_numbers_of_its_own(replica: Replica, client: Client) -> None:
    asyncio.run(client.get("/healthz"))

    assert ("nba_requests_total", "getLiveness,200") in samples(client)
    assert ("nba_requests_total", "getLiveness,200") not in samples(Client(create_app(replica)))


def test_a_store_that_cannot_be_read_takes_only_its_own_numbers_along(
    client: Client, replica: Replica, clock: Clock
) -> None:
    asyncio.run(client.post("/v1/decisions", {"decisionId": "d", "channel": "web"}))
    before = samples(client)
    replica.database.close()
    clock.now_s += 2.0  # the status is at most a second old
    asyncio.run(client.post("/v1/decisions", {"decisionId": "e", "channel": "web"}))
    after = samples(client)

    assert (before["nba_store_readable", ""], after["nba_store_readable", ""]) == (1, 0)
    assert after["nba_requests_total", "decide,503"] == 1
    assert after["nba_events_total", "decisions_normal"] == 1
    assert "nba_learning" not in {name for name, _ in after}


def test_the_dashboard_asks_for_metrics_that_exist(client: Client) -> None:
    asyncio.run(client.post("/v1/decisions", {"decisionId": "d", "channel": "web"}))
    asyncio.run(client.post("/v1/outcomes", {"outcomeId": "o", "decisionId": "d", "type": "accept"}))
    described = asyncio.run(client.get("/metrics")).body.decode()  # families without a sample are described, too
    known = {name for name, _ in samples(client)} | {f"{name}_total" for name in re.findall(r"# TYPE (\w+)", described)}
    known |= {f"{name}" for name in re.findall(r"# TYPE (\w+)", described)} | {"nba_model_age_seconds"}
    dashboard = msgspec.json.decode((Path(__file__).parents[2] / "docs" / "grafana.json").read_bytes())

    asked = {
        name
        for panel in dashboard["panels"]
        for target in panel["targets"]
        for name in re.findall(r"nba_\w+", target["expr"])
    }
    assert len(asked) > 15
    assert asked - known == set()
