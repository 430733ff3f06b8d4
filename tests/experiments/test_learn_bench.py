"""The benchmark of learning compares like with like: both sides learn the same weights from the same events."""

from pathlib import Path

from bandit_nba.learn.vowpal import VowpalRegressor
from experiments.bench import learn, learn_ways
from experiments.bench.learn_events import POLICY, parts, write_text

SIZE = 1_000


def test_the_driver_and_the_learner_end_with_the_same_weights(tmp_path: Path) -> None:
    """10 actions with propensity 1/10 as text, and rows of the log with the chosen action alone."""
    write_text(tmp_path / "events.txt", SIZE)
    for name, onethread in (("driver", False), ("onethread", True)):
        learn_ways.driver(tmp_path / "events.txt", tmp_path / f"{name}.model", onethread=onethread)
    batches = list(parts(SIZE))

    assert learn._largest_difference(tmp_path, batches) < learn._TOLERANCE  # of weights near 0.1
    taught = VowpalRegressor(POLICY.features, POLICY.learning, model=(tmp_path / "driver.model").read_bytes())
    assert len(taught.weights().values) > 900  # 73 context terms, alone and crossed with 10 arms and 2 groups: 962
