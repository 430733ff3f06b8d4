"""What must hold before a verdict is read: every check says what is wrong, what it means and what to do.

A finding is `fine`, a `caution` (read on, with care) or a `stop` (no verdict). `diagnose` runs every check whose data
is given; each is also a function of its own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil, sqrt
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import chdtrc, ndtri

from bandit_nba.errors import InputError
from bandit_nba.evaluate.result import ESS_FLOOR, Estimate
from bandit_nba.evaluate.sample import FloatArray, Sample, checked_sample, finite_vector

Severity = Literal["fine", "caution", "stop"]

THIN_SHARE = 0.01  # ESS/n below which a log is mostly about other policies
TAIL_SHARE = 0.3  # share of the largest 1 % of the weights above which a few decisions carry the estimate
LOST_SUPPORT = (0.001, 0.01)  # mass of the policy on arms that the log never chose: caution, stop
LEFT_OUT = 0.05  # share of rows excluded above which the rest may be a selection
FALSE_ALARM = 0.001  # chance that a statistical check speaks although nothing is wrong
BLOCKS = 10

SUCCESSES = "weighted successes"
SUCCESSES_FLOOR = 100.0
"""Effective rewarded decisions below which an asymptotic interval covers too rarely."""
SIZE = frozenset({"effective sample size", SUCCESSES})
"""Checks that more decisions of the same kind would pass; their figures say how many `more`."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One check: what was found, what it means, what to do, and the figures behind it."""

    check: str
    severity: Severity
    what: str
    meaning: str = ""
    action: str = ""
    figures: Mapping[str, float] = field(default_factory=dict)


def diagnose(
    weights: ArrayLike,
    rewards: ArrayLike,
    *,
    groups: ArrayLike | Sequence[object] | None = None,
    segments: ArrayLike | Sequence[object] | None = None,
    unsupported: ArrayLike | None = None,
    self_weights: ArrayLike | None = None,
    cell_probabilities: ArrayLike | None = None,
    cell_chosen: ArrayLike | None = None,
    left_out: Mapping[str, int] | None = None,
    in_time_order: bool = True,
) -> tuple[Finding, ...]:
    """Run every check whose data is given, worst first.

    Parameters
    ----------
    segments
        Segment of each decision, shape (n,): ESS within each.
    unsupported
        Mass of the policy on arms that the log could not have chosen, per decision, shape (n,) (`unsupported_mass`).
    self_weights
        Weights of the *logging* policy replayed through the same code, shape (n,): each must be 1.
    cell_probabilities, cell_chosen
        Logged probability of every eligible arm of every decision, flat, and whether it was chosen.
    left_out
        Rows that are not among the n, by reason.
    in_time_order
        Whether rows are in the order of decision, so that drift can be seen.
    """
    sample = checked_sample(weights, rewards, groups=groups, reward_range=(-np.inf, np.inf))
    found = [effective_sample_size(sample), weighted_successes(sample), weight_tail(sample), mean_weight(sample)]
    if unsupported is not None:
        found.append(support(unsupported))
    if self_weights is not None:
        found.append(self_evaluation(self_weights))
    if cell_probabilities is not None and cell_chosen is not None:
        found.append(calibration(cell_probabilities, cell_chosen))
    if segments is not None:
        found.append(segment_sizes(sample, segments))
    if in_time_order and sample.n >= BLOCKS * 10:
        found.append(drift(sample))
    if left_out is not None:
        found.append(selection(left_out, sample.n))
    order = {"stop": 0, "caution": 1, "fine": 2}
    return tuple(sorted(found, key=lambda finding: order[finding.severity]))


def verdict_allowed(findings: Sequence[Finding]) -> bool:
    """Whether no check forbids a verdict."""
    return all(finding.severity != "stop" for finding in findings)


def decisions_needed(estimate: Estimate, half_width: float) -> int:
    """How many *more* decisions of this kind give an interval of V +- `half_width` and clear the ESS floor.

    Widths shrink with the square root of the number of decisions; `half_width` is in reward units, above 0. For a
    difference, |value| is the half width at which it becomes distinguishable from 0. Without any effective decision the
    answer is a guess of ten times the log.
    """
    if not (np.isfinite(half_width) and half_width > 0):
        raise InputError("the wished half width is no width", where="half_width", got=half_width, allowed="above 0")
    if estimate.ess == 0:
        return 10 * estimate.n
    for_width = estimate.n * (estimate.half_width / half_width) ** 2
    for_floor = estimate.n * ESS_FLOOR / estimate.ess
    return max(0, ceil(max(for_width, for_floor) - estimate.n))


def effective_sample_size(sample: Sample) -> Finding:
    """How many decisions of the policy itself the log is worth."""
    ess, n = sample.ess, sample.n
    figures = {"ess": ess, "n": float(n), "share": ess / n}
    what = f"{n:,} logged decisions are worth {ess:,.0f} of this policy's own ({ess / n:.1%})"
    if ess < ESS_FLOOR:
        more = ceil(n * ESS_FLOOR / ess) - n if ess > 0 else 10 * n
        return Finding(
            "effective sample size",
            "stop",
            what,
            f"below {ESS_FLOOR:.0f} an interval can be far off the truth and look narrow",
            f"log about {more:,} more decisions, or judge a policy closer to today's",
            {**figures, "more": float(more)},
        )
    if ess / n < THIN_SHARE:
        return Finding(
            "effective sample size",
            "caution",
            what,
            "the log is mostly about choices that this policy would not make",
            "give more exploration to the arms that this policy prefers",
            figures,
        )
    return Finding("effective sample size", "fine", what, figures=figures)


def weighted_successes(sample: Sample) -> Finding:
    """On how many rewarded decisions an estimate rests: (sum |w r|)^2 / sum (w r)^2, all of them where weights are 1.

    An interval that leans on the normal distribution, or on a bootstrap, covers too rarely below about 100 of them:
    at a response rate of 1 % ten thousand effective decisions hold no more.
    """
    x = np.abs(sample.weights * sample.rewards)
    largest = float(x.max())
    effective = float((x / largest).sum() ** 2 / ((x / largest) ** 2).sum()) if largest > 0 else 0.0
    what = f"the estimate rests on {effective:,.0f} effective rewarded decisions"
    figures = {"effective": effective}
    if effective >= SUCCESSES_FLOOR:
        return Finding(SUCCESSES, "fine", what, figures=figures)
    more = ceil(sample.n * (SUCCESSES_FLOOR / effective - 1.0)) if effective > 0 else 10 * sample.n
    return Finding(
        SUCCESSES,
        "stop",
        what,
        f"below about {SUCCESSES_FLOOR:.0f} an interval misses the truth more often than it says",
        f"log about {more:,} more decisions",
        {**figures, "more": float(more)},
    )


def weight_tail(sample: Sample) -> Finding:
    """Whether a few decisions carry the estimate."""
    w, n = sample.weights, sample.n
    top = max(1, n // 100)
    total = float(w.sum())
    share = float(np.partition(w, n - top)[n - top :].sum()) / total if total > 0 else 0.0
    figures = {"largest": float(w.max()), "top_1_percent_share": share}
    what = f"the largest weight is {w.max():.3g}; the heaviest 1 % of decisions hold {share:.0%} of all weight"
    if share > TAIL_SHARE:
        return Finding(
            "weight tail",
            "caution",
            what,
            "a handful of decisions moves the estimate",
            "raise the floor of the exploration; compare with clipped and doubly robust estimates",
            figures,
        )
    return Finding("weight tail", "fine", what, figures=figures)


def mean_weight(sample: Sample) -> Finding:
    """Weights average 1 when propensities are right and the policy stays within what the log could choose."""
    mean, z = float(sample.weights.mean()), sample.mean_weight_z
    what = f"the mean weight is {mean:.4g} (expected 1, z = {z:.1f})"
    figures = {"mean": mean, "z": float(np.clip(z, -1e6, 1e6))}  # figures stay finite on the wire
    if abs(z) > -float(ndtri(FALSE_ALARM / 2)):
        low = "the policy puts mass where the log never chose, or propensities are logged too high"
        high = "propensities are logged too low, or of another distribution than the one that chose"
        return Finding(
            "mean weight",
            "stop",
            what,
            low if z < 0 else high,
            "check that the logged probability is that of the final choice, after every rule and floor",
            figures,
        )
    return Finding("mean weight", "fine", what, figures=figures)


def support(unsupported: ArrayLike) -> Finding:
    """Mass of the policy where the logged distribution is 0."""
    mass = finite_vector(unsupported, "unsupported")
    mean = float(mass.mean())
    what = (
        f"{mean:.2%} of this policy's choices could never be logged ({float((mass > 0).mean()):.1%} of the decisions)"
    )
    figures = {"mass": mean}
    if mean <= LOST_SUPPORT[0]:
        return Finding("support", "fine", what, figures=figures)
    return Finding(
        "support",
        "stop" if mean > LOST_SUPPORT[1] else "caution",
        what,
        "nothing in the log says what those choices earn; up to that share of the value is unknown",
        "explore those arms, or judge a policy that leaves them out",
        figures,
    )


def unsupported_mass(policy: ArrayLike, logged: ArrayLike, rows: ArrayLike, n: int) -> FloatArray:
    """Mass of `policy` on cells with logged probability 0, shape (n,), from flat cells and the row of each."""
    pi, p = finite_vector(policy, "policy"), finite_vector(logged, "logged")
    row = np.asarray(rows, dtype=np.intp)
    lost = np.where(p > 0, 0.0, pi)
    return np.bincount(row, weights=lost, minlength=n).astype(np.float64, copy=False)


def self_evaluation(self_weights: ArrayLike) -> Finding:
    """The logging policy, replayed, must weigh every decision 1: then its estimate is the mean reward exactly."""
    w = finite_vector(self_weights, "self_weights")
    off = np.abs(w - 1) > 1e-9
    figures = {"wrong": float(off.sum()), "largest_gap": float(np.abs(w - 1).max())}
    if not off.any():
        return Finding(
            "self-evaluation", "fine", "replaying the logging policy gives its own propensities", figures=figures
        )
    return Finding(
        "self-evaluation",
        "stop",
        f"replaying the logging policy misses its own propensity on {int(off.sum()):,} of {len(w):,} decisions "
        f"(first: row {int(np.argmax(off))})",
        "features, rules or model versions of the replay are not those of the decision, so every replay is off",
        "run the audit; judge only decisions whose distribution it can recompute",
        figures,
    )


def calibration(cell_probabilities: ArrayLike, cell_chosen: ArrayLike, *, bins: int = 20) -> Finding:
    """Arms logged with probability p must be chosen in a share p of the cases."""
    p = finite_vector(cell_probabilities, "cell_probabilities")
    chosen = np.asarray(cell_chosen, dtype=np.float64)
    if chosen.shape != p.shape:
        raise InputError("not one flag per cell", where="cell_chosen", got=chosen.shape, allowed=str(p.shape))
    edges = np.unique(np.quantile(p, np.linspace(0, 1, bins + 1)))
    where = np.clip(np.searchsorted(edges, p, side="right") - 1, 0, max(0, len(edges) - 2))
    count = np.bincount(where)
    expected = np.bincount(where, weights=p)
    seen = np.bincount(where, weights=chosen)
    variance = np.bincount(where, weights=p * (1 - p))
    impossible = int(((p <= 0) & (chosen > 0)).sum())
    used = (count > 0) & (variance > 0)
    z = (seen[used] - expected[used]) / np.sqrt(variance[used])
    worst = float(np.abs(z).max()) if used.any() else 0.0
    limit = -float(ndtri(FALSE_ALARM / 2 / max(1, int(used.sum()))))
    figures = {"worst_z": worst, "bins": float(used.sum()), "impossible": float(impossible)}
    if worst <= limit and not impossible:
        return Finding(
            "calibration", "fine", "arms are chosen as often as their logged probability says", figures=figures
        )
    at = int(np.flatnonzero(used)[int(np.argmax(np.abs(z)))]) if used.any() else 0
    what = f"arms logged at {expected[at] / max(count[at], 1):.3g} were chosen in {seen[at] / max(count[at], 1):.3g}"
    if impossible:
        what = f"{impossible:,} decisions chose an arm with logged probability 0"
    return Finding(
        "calibration",
        "stop",
        what,
        "the logged probability is not the one with which the arm was drawn: every weight is wrong",
        "log the distribution of the final draw; look for choices that are re-made after a contact rule",
        figures,
    )


def segment_sizes(sample: Sample, segments: ArrayLike | Sequence[object]) -> Finding:
    """ESS within each segment: a good total can hide a segment about which the log says nothing."""
    labels, codes = np.unique(_labels(segments, sample.n), return_inverse=True)
    w = sample.weights
    squares = np.bincount(codes, weights=w * w)
    ess = np.bincount(codes, weights=w) ** 2 / np.where(squares > 0, squares, 1.0)
    thin = [str(label) for label, size in zip(labels, ess, strict=True) if size < ESS_FLOOR]
    figures = {str(label): float(size) for label, size in zip(labels, ess, strict=True)}
    if not thin:
        return Finding(
            "segments", "fine", f"all {len(labels)} segments have enough effective decisions", figures=figures
        )
    shown = ", ".join(thin[:5]) + (f" and {len(thin) - 5} more" if len(thin) > 5 else "")
    return Finding(
        "segments",
        "caution",
        f"{len(thin)} of {len(labels)} segments are worth fewer than {ESS_FLOOR:.0f} decisions: {shown}",
        "the total may be good for the large segments and unknown for these",
        "read no figure of these segments; explore more there",
        figures,
    )


def drift(sample: Sample) -> Finding:
    """Whether the mean weight stays at 1 over time, in ten blocks of consecutive decisions."""
    blocks = np.array_split(sample.weights, BLOCKS)
    means = np.array([float(block.mean()) for block in blocks])
    errors = np.array([float(block.std(ddof=1)) / sqrt(len(block)) for block in blocks])
    used = errors > 0
    statistic = float((((means - 1)[used] / errors[used]) ** 2).sum())
    p_value = float(chdtrc(max(1, int(used.sum())), statistic)) if used.any() else 1.0
    # Blocks of heavy weights are far from normal: customers and tails inflate the statistic, so this never stops.
    figures = {"p_value": p_value, "first": float(means[0]), "last": float(means[-1])}
    what = f"mean weight of the first tenth {means[0]:.3g}, of the last {means[-1]:.3g}"
    if p_value >= FALSE_ALARM:
        return Finding("drift", "fine", what, figures=figures)
    return Finding(
        "drift",
        "caution",
        what + f" (p = {p_value:.1g})",
        "the log changes over time in a way that its propensities do not explain",
        "judge the periods one by one; look for a release at the break",
        figures,
    )


def selection(left_out: Mapping[str, int], kept: int) -> Finding:
    """Share of rows that were excluded: fallbacks, overrides, immature or unsupported ones."""
    lost = sum(left_out.values())
    share = lost / (lost + kept) if lost + kept else 0.0
    reasons = ", ".join(f"{reason} {count:,}" for reason, count in left_out.items() if count) or "none"
    what = f"{share:.1%} of the rows are left out ({reasons})"
    figures = {"share": share, **{reason: float(count) for reason, count in left_out.items()}}
    if share <= LEFT_OUT:
        return Finding("left out", "fine", what, figures=figures)
    return Finding(
        "left out",
        "caution",
        what,
        "what is left may be a selection: the estimate is about these decisions only",
        "wait for immature decisions; look into fallbacks and overrides",
        figures,
    )


def _labels(segments: ArrayLike | Sequence[object], n: int) -> NDArray[Any]:
    labels = np.asarray(segments)
    if labels.shape != (n,):
        raise InputError("segments have another length than the weights", where="segments", got=labels.shape)
    return labels.astype(str)
