"""What goes through one replica's door: how many requests of each operation, how they ended, and how long they took."""

from collections import Counter, defaultdict

from bandit_nba.online.measures import SECONDS, Histogram


class Traffic:
    """Counts by operation and status. Both come from the code and never from the client, so there are few of them."""

    def __init__(self) -> None:
        self.answers: Counter[tuple[str, int]] = Counter()
        self.seconds: defaultdict[str, Histogram] = defaultdict(lambda: Histogram(SECONDS))
        self.gone = 0

    def answered(self, operation: str, status: int, seconds: float) -> None:
        """Count one answer."""
        self.answers[operation, status] += 1
        self.seconds[operation].observe(seconds)
