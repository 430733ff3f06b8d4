"""Actions that requests bring along: an engine over each set of them, and batches of requests with the same set."""

from collections.abc import Sequence
from functools import lru_cache

from bandit_nba.decide import inline
from bandit_nba.decide.engine import Engine
from bandit_nba.errors import InputError, SettingsError
from bandit_nba.online.asked import Asked

ENGINES = 64  # channels that send the same actions again and again find them made


@lru_cache(maxsize=ENGINES)
def engine_over(engine: Engine, actions: bytes) -> Engine:
    """The engine's policy over these actions, canonical JSON.

    Raises
    ------
    InputError
        If an action cannot be scored or weighed under the policy.
    """
    try:
        return engine.over(inline.decoded(actions))
    except SettingsError as error:
        raise InputError(error.what, where="actions", got=error.got, allowed=error.allowed) from None


def by_actions(asked: Sequence[Asked]) -> list[list[Asked]]:
    """Requests that are decided together: those among the catalogue's actions, and those that brought the same ones."""
    if asked and all(one.actions is None for one in asked):  # nearly always
        return [list(asked)]
    groups: dict[bytes | None, list[Asked]] = {}
    for one in asked:
        groups.setdefault(one.actions, []).append(one)
    return list(groups.values())
