"""The peers of vowpal-wabbit-next: its fastest loop of predictions (action examples made once, one `predict_one` per
request), and VW's command-line driver."""

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from vowpal_wabbit_next import CBLabel, Example, Workspace, run_cli_driver

from bandit_nba.decide.batch import Requests
from bandit_nba.decide.engine import Engine
from bandit_nba.decide.scoring import FeatureRows
from bandit_nba.learn.vowpal import VowpalRegressor


def predictions_per_s(regressor: VowpalRegressor, engine: Engine, batch: Requests) -> float:
    """Requests scored a second; the peer's features are made before the clock starts, ours are not."""
    workspace = Workspace(model_data=regressor.serialize())
    contexts = engine.featuriser.contexts(batch.facts, batch.channels)
    shared = [_example(contexts, i, shared=True) for i in range(len(contexts))]
    arms = [_example(engine.arm_features, k, shared=False) for k in range(len(engine.arms))]
    started = time.perf_counter()
    for example in shared:
        workspace.predict_one([example, *arms])
    return len(shared) / (time.perf_counter() - started)


def driven(text: Path, model: Path, arguments: Sequence[str], *, onethread: bool) -> None:
    """VW's command-line driver over a text file of examples; onethread: parse and learn in one thread."""
    run_cli_driver([*arguments, "--quiet", "-d", str(text), "-f", str(model)], onethread=onethread)


def _example(rows: FeatureRows, i: int, *, shared: bool) -> Example:
    mask = (1 << 18) - 1
    example = Example()
    example.set_label(CBLabel(shared=shared))
    terms = rows.terms[rows.indptr[i] : rows.indptr[i + 1]]
    values = rows.values[rows.indptr[i] : rows.indptr[i + 1]]
    for letter in sorted({rows.namespaces[t] for t in terms}):
        mine = np.array([rows.namespaces[t] == letter for t in terms])
        group = example[ord(letter)]
        for index, value in zip((rows.hashes[terms[mine]] & mask).tolist(), values[mine].tolist(), strict=True):
            group.push_feature(index, value)
    return example
