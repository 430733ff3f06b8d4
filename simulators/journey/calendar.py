"""Seasons: what the time of year and the day of the week add to every logit."""

import datetime

import numpy as np

from bandit_nba.decide.columns import Floats
from bandit_nba.errors import SettingsError
from simulators.journey.settings import Calendar

WEEKS_A_YEAR = 365.25 / 7.0


def season(calendar: Calendar | None, *, start: datetime.datetime, step_days: float, steps: int) -> Floats:
    """Logits of each step, float64 (steps,). Weekdays count only where a step is one day.

    Raises
    ------
    SettingsError
        If weekdays are not seven.
    """
    if calendar is None:
        return np.zeros(steps)
    day = np.arange(steps) * step_days
    week = (start.timetuple().tm_yday - 1 + day) / 7.0
    logits = calendar.yearly_amplitude * np.cos(2.0 * np.pi * (week - calendar.peak_week) / WEEKS_A_YEAR)
    if calendar.weekdays:
        if len(calendar.weekdays) != 7:
            raise SettingsError(
                "a week has seven days", where="calendar.weekdays", got=len(calendar.weekdays), allowed="7 numbers"
            )
        if step_days == 1.0:
            logits += np.array(calendar.weekdays)[(start.weekday() + np.arange(steps)) % 7]
    found: Floats = logits
    return found
