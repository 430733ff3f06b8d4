"""Fatigue: contacts add up, wear off, lower what the next one gains and let customers withdraw their consent.

    F' = F 2^(-weeks / half life) + weight of the touchpoint, if contacted
    gain factor = exp(-response F);  chance to opt out at a contact = min(1, opt_out exp(growth F))

No public figure for the decay of contact fatigue was found: worlds label it an assumption.
"""

import numpy as np

from bandit_nba.decide.columns import Floats
from simulators.journey.settings import Fatigue


def decay(law: Fatigue, *, weeks: float) -> float:
    """What is left of F after so many weeks."""
    return float(2.0 ** (-weeks / law.half_life_weeks))


def gain_factor(fatigue: Floats, response: Floats) -> Floats:
    """exp(-response F); response: the law's, float64 (1,)."""
    worn: Floats = np.exp(fatigue * -response)
    return worn


def opt_out_chance(fatigue: Floats, opt_out: Floats, growth: Floats) -> Floats:
    """Chance that a contact made at F ends the consent for its channel; 1 and above: it certainly does.

    opt_out, growth: the law's, float64 (1,) each.
    """
    return np.exp(growth * fatigue) * opt_out
