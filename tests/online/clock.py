"""A clock that tests turn."""

START_S = 1_800_000_000.0


class Clock:
    """Stands still until it is turned; seconds since the epoch."""

    def __init__(self, now_s: float = START_S) -> None:
        self.now_s = now_s

    def __call__(self) -> float:
        return self.now_s
