"""The right to answer one request: whoever takes it first, the ordinary answer, the safe one, or the refusal."""

from bandit_nba.online.watching import Timed


class Ticket:
    """Held by at most one at a time; safe to share between threads.

    The row of a decision is written only by who holds its ticket, so that a late answer is discarded before it reaches
    the log, and a client that was told "nothing is kept" was told the truth.

    watched: is told of the stages that the request goes through; None where nobody wants to know.
    """

    __slots__ = ("_free", "watched")

    def __init__(self, watched: list[Timed] | None = None) -> None:
        self._free = [None]
        self.watched = watched

    def take(self) -> bool:
        """Take it; False where somebody else holds it."""
        try:
            self._free.pop()  # atomic, cheaper than a lock
        except IndexError:
            return False
        return True

    def give_back(self) -> None:
        """Let others take it: what it was taken for has failed, and surely nothing was written."""
        self._free.append(None)
