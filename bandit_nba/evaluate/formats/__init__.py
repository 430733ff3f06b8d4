"""Logs from files: each row checked and named where it is wrong, then the same arrays as the store's own log gives.

    from bandit_nba.evaluate.formats import from_obp, read_file
    from bandit_nba.evaluate.judge import judge

    log, rejected = read_file(Path("log.parquet"), columns={"reward": "clicked", "arm": "item", "propensity": "pscore"})
    judge(log, [LoggingPolicy(), Fixed("item 7")], features=..., rng=...)

For the estimators alone no policy is needed: `estimate(weights, log.reward, groups=log.group)` with
`weights = (my_policy's probability of the logged arm) / log.propensity`.
"""

from bandit_nba.evaluate.formats.obp import to_obp
from bandit_nba.evaluate.formats.read import FORMATS, format_of, from_obp, from_rows, read_file, rows_of

__all__ = ["FORMATS", "format_of", "from_obp", "from_rows", "read_file", "rows_of", "to_obp"]
