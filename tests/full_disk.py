"""Files that cannot grow, as on a full disk but for the error's number (EFBIG)."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def most_bytes(size: int) -> Iterator[None]:
    """No file of this process grows beyond it; larger ones can still be read."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
