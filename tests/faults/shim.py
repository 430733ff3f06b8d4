"""The runner's side of `shim.c`: builds it, and holds the rule that one process obeys, in a file that both map."""

import errno
import mmap
import shutil
import struct
import subprocess
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Literal

CALLS = {"write": 1, "fsync": 2}
FILES = {"log": 1, "main": 2, "any": 3}
ACTIONS = {"fail": 1, "kill before": 2, "kill after": 3, "tear": 4, "delay": 5}
_LAYOUT = struct.Struct("=11q")
_HITS, _OFFSET = 9, 10


@dataclass(frozen=True, kw_only=True)
class Rule:
    """What happens to which call. skip: so many such calls pass first. times: how often it happens, 0 for ever.

    file: the write-ahead log, the main file, any. run_of: only where at least so many writes to the log came since its
    last fsync. "tear" writes half of the bytes and kills. "kill before" and "kill after" mean the system call.
    """

    call: Literal["write", "fsync"]
    action: Literal["fail", "kill before", "kill after", "tear", "delay"]
    file: Literal["log", "main", "any"] = "log"
    error: int = errno.EIO
    skip: int = 0
    times: int = 1
    run_of: int = 0
    delay_us: int = 0


class Faults:
    """The shared file of one process: its rule, how often it has struck, and how far its clock is off."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.write_bytes(bytes(_LAYOUT.size))
        with path.open("r+b") as file:
            self._shared = mmap.mmap(file.fileno(), _LAYOUT.size)

    def arm(self, rule: Rule) -> None:
        """Let it come from now on."""
        self.disarm()
        values = (CALLS[rule.call], FILES[rule.file], ACTIONS[rule.action], *astuple(rule)[3:])
        self._put(1, *values, 0)
        self._put(0, 1)

    def disarm(self) -> None:
        """Let all calls pass."""
        self._put(0, 0)

    @property
    def hits(self) -> int:
        """How often the rule has struck since it was armed."""
        return int(_LAYOUT.unpack(self._shared[: _LAYOUT.size])[_HITS])

    def put_clock(self, offset_s: float) -> None:
        """How far the process's system clock shall be ahead of the true one."""
        self._put(_OFFSET, int(offset_s * 1e6))

    @property
    def clock_offset_s(self) -> float:
        """What `put_clock` has said, read by the process."""
        return float(_LAYOUT.unpack(self._shared[: _LAYOUT.size])[_OFFSET]) / 1e6

    def _put(self, place: int, *values: int) -> None:
        struct.pack_into(f"={len(values)}q", self._shared, 8 * place, *values)


def attached(path: Path) -> Faults:
    """The shared file as the process itself opens it, unchanged."""
    faults = object.__new__(Faults)
    faults.path = path
    with path.open("r+b") as file:
        faults._shared = mmap.mmap(file.fileno(), _LAYOUT.size)
    return faults


def compiler() -> str | None:
    """A C compiler of this machine, None without one."""
    return shutil.which("cc") or shutil.which("gcc")


def build(directory: Path) -> Path:
    """Compile the shim into `directory`."""
    found = compiler()
    if found is None:
        raise RuntimeError("the fault runner needs a C compiler (cc) for its shim")
    library = directory / "shim.so"
    source = Path(__file__).with_name("shim.c")
    command = [found, "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", str(library), str(source), "-ldl"]
    subprocess.run(command, check=True)
    return library
