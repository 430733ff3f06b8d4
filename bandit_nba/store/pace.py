"""How fast a queue has been emptied lately, and so how long a new item would wait."""

MEMORY = 0.9
"""What each large batch leaves of the memory of those before it: some ten of them count."""
LARGE = 32
"""Small batches pay the fixed costs of a transaction for few items, and tell little of a long queue."""


class Pace:
    """The seconds that an item takes in a large batch. Told by one thread, asked by any."""

    def __init__(self) -> None:
        self._items = 0.0
        self._seconds = 0.0

    @property
    def item_s(self) -> float:
        """Seconds per item; 0 as long as nothing is known."""
        items, seconds = self._items, self._seconds
        return seconds / items if items else 0.0

    def took(self, items: int, seconds: float) -> None:
        """A batch of `items` was done in `seconds`.

        A small one counts only where it was faster than what is remembered: an item never takes longer in a large
        batch than in a small one, so that a slow moment is forgotten even if no large batch comes again.
        """
        if items >= LARGE:
            self._items = MEMORY * self._items + items
            self._seconds = MEMORY * self._seconds + seconds
        elif 0.0 < seconds < items * self.item_s:
            self._seconds *= seconds / items / self.item_s

    def wait_s(self, waiting: int) -> float:
        """Expected seconds until `waiting` items are done; 0 as long as nothing is known."""
        return waiting * self.item_s
