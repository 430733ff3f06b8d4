"""The right to answer one request: whoever takes it first, the ordinary answer, the safe one, or the refusal."""


class Ticket:
    """Held by at most one at a time; safe to share between threads.

    The row of a decision is written only by who holds its ticket, so that a late answer is discarded before it reaches
    the log, and a client that was told "nothing is kept" was told the truth.
    """

    __slots__ = ("_free",)

    def __init__(self) -> None:
        self._free = [None]

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
