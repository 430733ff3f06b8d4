"""How much memory a process has held at most."""

import resource
import sys
from pathlib import Path

_STATUS = "/proc/{}/status"


def peak_mb(process: str = "self") -> float:
    """The largest resident memory of a running process so far, MB; 0 where it is another's and cannot be told.

    process: "self" or an id. Linux counts in `ru_maxrss` also what the parent held when it forked, so that a child of a
    large one begins with that; VmHWM begins anew with the program. macOS counts `ru_maxrss` in bytes.
    """
    status = Path(_STATUS.format(process))
    if status.exists():
        kept = [line for line in status.read_text().splitlines() if line.startswith("VmHWM")]
        return int(kept[0].split()[1]) / 2**10 if kept else 0.0
    if process != "self":
        return 0.0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
