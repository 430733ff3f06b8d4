"""The bake-off's own tables, and the same by world."""

import dataclasses

import pandas as pd

from experiments.bakeoff.analysis import analyse as bakeoff_report
from experiments.runner.compare import against
from experiments.runner.report import Report

OURS = "default"


def analyse(frame: pd.DataFrame) -> Report:
    """As the bake-off's; `by_world`: wins, losses and difference of each world by itself."""
    report = bakeoff_report(frame)
    tables = {name: table for name, table in report.tables.items() if name != "on_worlds"}
    parts = [
        against(frame[frame["scenario"] == name], OURS).assign(scenario=name)
        for name in sorted(frame["scenario"].unique())
    ]
    return dataclasses.replace(report, tables={**tables, "by_world": pd.concat(parts, ignore_index=True)})
