"""`python -m experiments.ope.open_bandit`: real logs of a shop, each policy judged on the other's log.

Uniform is judged on the Thompson sampler's logs and the Thompson sampler on uniform's, for three campaigns. The logs
are small (38 to 69 clicks), so that the honest answer is mostly "no verdict", and why.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np
import typer
from rich import box
from rich.console import Console
from rich.table import Table

from bandit_nba.errors import NbaError
from bandit_nba.evaluate import Estimate, estimate, estimate_difference
from bandit_nba.evaluate.cross_fit import cross_fit
from bandit_nba.evaluate.diagnostics import SIZE, SUCCESSES, Finding, decisions_needed, diagnose
from bandit_nba.evaluate.sample import FloatArray
from experiments.ope.open_bandit_data import (
    CAMPAIGNS,
    LOGGERS,
    POSITIONS,
    Impressions,
    Read,
    cache_folder,
    impressions,
    open_package,
    thompson_prior,
)

SIMULATIONS = 100_000
# The name in the table, and the interval: re-weightings of the log where there is one, normal otherwise.
ESTIMATORS = {
    "ips": ("IPS", "gaussian"),
    "snips": ("SNIPS", "gaussian"),
    "dr": ("DR", "gaussian"),
    "cressie_read": ("CR", "cressie_read"),
}
WISHED_PRECISION = 0.2  # a gain known to within so much of the logged clicks is worth a verdict


@dataclass(frozen=True)
class Judged:
    """One policy on the other's log.

    own: clicks per impression in the judged policy's own log. gain: of the judged policy over the log's.
    """

    policy: str
    logger: str
    campaign: str
    logged: float
    own: float
    mean_weight: float
    largest_weight: float
    estimates: dict[str, Estimate]
    gain: Estimate
    findings: tuple[Finding, ...]

    @property
    def stops(self) -> list[str]:
        """Why there is no verdict, most serious first; empty where there is one."""
        return [f"{finding.what}: {finding.meaning}" for finding in self.findings if finding.severity == "stop"]

    @property
    def more(self) -> int:
        """About how many more impressions a verdict takes: enough clicks, and a gain known to within a fifth."""
        for_size = [int(finding.figures.get("more", 0)) for finding in self.findings if finding.check in SIZE]
        return max(0, *for_size, decisions_needed(self.gain, WISHED_PRECISION * self.logged))

    @property
    def verdict(self) -> str:
        """One sentence, or why there is none."""
        name = f"{self.policy} on {self.logger}'s log of {self.campaign}"
        if self.stops:
            return f"{name}: no verdict, {'; '.join(self.stops)}. About {_rounded(self.more)} more impressions."
        if self.gain.low <= 0 <= self.gain.high:
            return f"{name}: not told from {self.logger}. About {_rounded(self.more)} more impressions."
        better = "more" if self.gain.value > 0 else "less"
        return f"{name}: earns {better} than {self.logger}, by {1000 * abs(self.gain.value):.2f} clicks per 1,000."


def thompson_probabilities(
    alpha: FloatArray, beta: FloatArray, *, rng: np.random.Generator, simulations: int = SIMULATIONS
) -> FloatArray:
    """Chance of every item at every position (items, 3): the three largest of independent Beta draws, in order."""
    counts = np.zeros((len(alpha), POSITIONS))
    for start in range(0, simulations, 5_000):
        drawn = rng.beta(alpha, beta, (min(5_000, simulations - start), len(alpha)))
        best = np.argpartition(-drawn, POSITIONS, axis=1)[:, :POSITIONS]
        order = np.argsort(-np.take_along_axis(drawn, best, axis=1), axis=1)
        ranked = np.take_along_axis(best, order, axis=1)
        for position in range(POSITIONS):
            counts[:, position] += np.bincount(ranked[:, position], minlength=len(alpha))
    return counts / simulations


def judged_probabilities(read: Read, policy: str, log: Impressions) -> FloatArray:
    """The judged policy's chance of every item at every position, (items, 3).

    bts is the Thompson sampler as it entered the week, frozen: what it learned in the week would be what it is judged
    on. Its own log comes from the sampler that went on learning, so that the two need not agree.
    """
    if policy == "random":
        return np.full((log.items, POSITIONS), 1 / log.items)
    alpha, beta = thompson_prior(read, log.campaign)
    return thompson_probabilities(alpha, beta, rng=np.random.default_rng(0))


def judge(read: Read, *, policy: str, log: Impressions, own: Impressions) -> Judged:
    """Estimates, intervals and checks of one policy on a log; `own` is the log of the judged policy."""
    probability = judged_probabilities(read, policy, log)
    weights = probability[log.item, log.position] / log.propensity
    model = cross_fit(
        log.features,
        log.item,
        log.click,
        n_arms=log.items,
        model="logistic",
        groups=log.page,
        rng=np.random.default_rng(1),
    )
    q: dict[str, Any] = {"q_logged": model.q_logged, "q_policy": model.under(probability[:, log.position].T)}
    # Uniform's propensities are known everywhere, so that the largest possible weight is; bts's only where it acted.
    largest = float(probability.max() / log.propensity.min()) if log.logger == "random" else inf
    found = {
        name: estimate(
            weights,
            log.click,
            **(q if name == "dr" else {}),
            estimator=name,
            interval=interval,
            weight_range=(0.0, largest),
            groups=log.page,
        )
        for name, (_, interval) in ESTIMATORS.items()
    }
    return Judged(
        policy=policy,
        logger=log.logger,
        campaign=log.campaign,
        logged=float(log.click.mean()),
        own=float(own.click.mean()),
        mean_weight=float(weights.mean()),
        largest_weight=float(weights.max()),
        estimates=found,
        gain=estimate_difference(weights, np.ones(len(weights)), log.click, groups=log.page),
        findings=diagnose(weights, log.click, groups=log.page),
    )


def run(read: Read) -> list[Judged]:
    """Both directions, all campaigns."""
    found = []
    for campaign in CAMPAIGNS:
        logs = {logger: impressions(read, logger=logger, campaign=campaign) for logger in LOGGERS}
        found.append(judge(read, policy="random", log=logs["bts"], own=logs["random"]))
        found.append(judge(read, policy="bts", log=logs["random"], own=logs["bts"]))
    return found


def show(found: list[Judged], console: Console) -> None:
    """One table, then what each row allows to say."""
    made = Table(
        title="Clicks per 1,000 impressions",
        caption="CR: Cressie-Read. own log: clicks in the judged policy's own log",
        box=box.SIMPLE_HEAD,
        title_justify="left",
        caption_justify="left",
        pad_edge=False,
        collapse_padding=True,
    )
    for name in ("judged", "log", "by", "estimate", "95 % interval", "ESS", "max w", "own log"):
        made.add_column(name, justify="left" if name in ("judged", "log", "by") else "right", no_wrap=True)
    for judged in found:
        for row in _rows(judged):
            made.add_row(*row, end_section=row[2] == "CR")
    console.print(made)
    for judged in found:
        console.print(judged.verdict, highlight=False)
        for finding in judged.findings:
            if finding.severity == "caution":
                console.print(f"  caution: {finding.what}", highlight=False)


def document(found: list[Judged]) -> list[dict[str, Any]]:
    """The same for machines, in clicks per impression."""
    return [
        {
            "judged": judged.policy,
            "log": judged.logger,
            "campaign": judged.campaign,
            "logged": judged.logged,
            "ownLog": judged.own,
            "meanWeight": judged.mean_weight,
            "largestWeight": judged.largest_weight,
            "weightedClicks": next(f.figures["effective"] for f in judged.findings if f.check == SUCCESSES),
            "estimates": judged.estimates,
            "gain": judged.gain,
            "findings": judged.findings,
            "verdictAllowed": not judged.stops,
            "verdict": judged.verdict,
            "moreImpressions": judged.more,
        }
        for judged in found
    ]


def main(
    *,
    cache: Annotated[Path, typer.Option(help="Where the fetched package is kept.")] = cache_folder(),  # noqa: B008 - typer's way
    json: Annotated[str, typer.Option(help="Write the numbers here, too; - prints them alone.")] = "",
) -> None:
    """Judge uniform on Thompson sampling's logs and the reverse, on the Open Bandit Dataset sample.

    Examples:

      python -m experiments.ope.open_bandit

      python -m experiments.ope.open_bandit --json -
    """
    try:
        found = run(open_package(cache))
    except NbaError as error:
        print(f"error: {error}", file=sys.stderr)
        raise typer.Exit(2) from error
    written = msgspec.json.format(msgspec.json.encode(document(found)), indent=2)
    if json == "-":
        print(written.decode())
        return
    show(found, Console())
    if json:
        Path(json).write_bytes(written)


def _rows(judged: Judged) -> Iterator[tuple[str, ...]]:
    title, log = judged.policy, f"{judged.logger}/{judged.campaign}"
    about = f"{judged.estimates['ips'].ess:,.0f}", f"{judged.largest_weight:,.0f}", f"{1000 * judged.own:.1f}"
    for name, e in judged.estimates.items():
        ends = f"{1000 * e.low:.2f} to {1000 * e.high:.2f}"
        yield title, log, ESTIMATORS[name][0], f"{1000 * e.value:.2f}", ends, *about
        title = log = ""
        about = ("", "", "")


def _rounded(count: int) -> str:
    """Two digits are all that such a guess can carry."""
    return f"{float(f'{count:.1e}'):,.0f}"


if __name__ == "__main__":
    typer.run(main)
