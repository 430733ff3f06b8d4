"""Judging policies from the log: estimates, intervals and what gates a verdict."""

from bandit_nba.evaluate.accumulator import accumulate
from bandit_nba.evaluate.api import estimate
from bandit_nba.evaluate.difference import estimate_difference
from bandit_nba.evaluate.result import ESS_FLOOR, Estimate
from bandit_nba.evaluate.shards import estimate_shards

__all__ = ["ESS_FLOOR", "Estimate", "accumulate", "estimate", "estimate_difference", "estimate_shards"]
