"""One file per interval; `INTERVALS` finds one by its name."""

from bandit_nba.evaluate.intervals.bootstrap import bootstrap
from bandit_nba.evaluate.intervals.gaussian import gaussian
from bandit_nba.evaluate.intervals.protocol import Interval

INTERVALS: dict[str, Interval] = {
    "gaussian": gaussian,
    "bootstrap": bootstrap,
}
