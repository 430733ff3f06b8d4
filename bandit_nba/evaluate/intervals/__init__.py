"""One file per interval; `INTERVALS` finds one by its name."""

from bandit_nba.evaluate.intervals.bootstrap import bootstrap
from bandit_nba.evaluate.intervals.clopper_pearson import clopper_pearson
from bandit_nba.evaluate.intervals.confidence_sequence import confidence_sequence
from bandit_nba.evaluate.intervals.cressie_read import cressie_read
from bandit_nba.evaluate.intervals.empirical_bernstein import empirical_bernstein
from bandit_nba.evaluate.intervals.empirical_likelihood import empirical_likelihood
from bandit_nba.evaluate.intervals.gaussian import gaussian
from bandit_nba.evaluate.intervals.hoeffding import hoeffding
from bandit_nba.evaluate.intervals.protocol import Interval
from bandit_nba.evaluate.intervals.robust_sequence import robust_sequence
from bandit_nba.evaluate.intervals.skewed_t import skewed_t
from bandit_nba.evaluate.intervals.student_t import student_t

INTERVALS: dict[str, Interval] = {
    "gaussian": gaussian,
    "bootstrap": bootstrap,
    "student_t": student_t,
    "skewed_t": skewed_t,
    "hoeffding": hoeffding,
    "empirical_bernstein": empirical_bernstein,
    "clopper_pearson": clopper_pearson,
    "cressie_read": cressie_read,
    "el": empirical_likelihood,
    "confidence_sequence": confidence_sequence,
    "robust_sequence": robust_sequence,
}
