"""Watches over a running service from a process of its own, and ends what is left of it, however it came to its end.

Ray ends its own processes when the main one ends, even by SIGKILL; but then the front end stays, holds the port and
answers errors for ever. The guard waits for its input to close, which the kernel does when the main process is gone.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

MARK = "NBA_SERVICE"
"""The variable by which all processes of one service are known, whoever their parent is by then."""

OWNER = "owner"
ENDS_BY_ITSELF_WITHIN_S = 5.0


@contextlib.contextmanager
def guarded(name: str, directory: Path) -> Iterator[None]:
    """While the block runs, a guard is on watch; when it has ended, so has everything marked with `name`.

    `directory` is removed then, unless the block raised: it holds the logs that say why.
    """
    command = [
        sys.executable,
        "-I",
        __file__,
        name,
        str(directory),
    ]  # by its path: nothing of the project need be importable
    guard = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)  # noqa: S603 (our own file)
    try:
        yield
    except BaseException:
        guard.communicate()
        raise
    guard.communicate()
    shutil.rmtree(directory, ignore_errors=True)


def own(directory: Path, name: str) -> None:
    """Note in `directory` whose it is: this process, when it began (ids come again), where ids are counted, `name`."""
    (directory / OWNER).write_text(f"{_started(os.getpid())}\n{_counted_where()}\n{name}")


def ending(parent: Path, prefix: str) -> bool:
    """Whether processes of a killed service of this user are still there: its guard ends them within seconds."""
    for folder in parent.glob(f"{prefix}*"):
        with contextlib.suppress(OSError):  # another start has just swept it away
            if _is_left_over(folder) and processes_of(_note(folder)[2], folder):
                return True
    return False


def sweep(parent: Path, prefix: str) -> list[Path]:
    """Remove what killed services of this user have left: their folders in `parent` whose owner is gone; gives them."""
    gone = [folder for folder in parent.glob(f"{prefix}*") if _is_left_over(folder)]
    for folder in gone:
        shutil.rmtree(folder, ignore_errors=True)
    return gone


def _is_left_over(folder: Path) -> bool:
    """A folder without a note is somebody else's, or just being made."""
    try:
        owner, where, _ = _note(folder)
        mine = folder.lstat().st_uid == os.getuid() and not folder.is_symlink()
    except OSError:
        return False
    number = owner.partition(" ")[0]
    return mine and number.isdigit() and where == _counted_where() != "" and _started(int(number)) != owner


def _note(folder: Path) -> tuple[str, str, str]:
    """What `own` has written: owner, where ids are counted, and the service's name ("" in a note without one)."""
    owner, where, name, *_ = [*(folder / OWNER).read_text().split("\n"), "", ""]
    return owner, where, name


def _counted_where() -> str:
    """Names the container, whose processes the others cannot see; "" where there is no /proc."""
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return ""


def _started(process: int) -> str:
    """Id and start of a process, counted in ticks since the machine's own; without the start where there is none."""
    try:
        after_the_name = Path(f"/proc/{process}/stat").read_text().rpartition(") ")[2]
    except OSError:
        return f"{process} gone"
    return f"{process} {after_the_name.split()[19]}"


def processes_of(name: str, directory: Path) -> list[int]:
    """Ids of the processes that carry the mark `name`, or are Ray's and write into `directory`; only Linux tells.

    Ray gives its Python processes titles such as "ray::DashboardAgent", which overwrite their environment.
    """
    mark = f"{MARK}={name}".encode()
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if mark in (process / "environ").read_bytes().split(b"\0") or _is_of_ray(process, directory):
                found.append(int(process.name))
    return found


def _is_of_ray(process: Path, directory: Path) -> bool:
    if not (process / "cmdline").read_bytes().startswith(b"ray::"):
        return False
    return any(str(link.readlink()).startswith(f"{directory}/") for link in (process / "fd").iterdir())


def end(name: str, directory: Path) -> None:
    """Give the service's processes some time to end by themselves, then end them."""
    give_up = time.monotonic() + ENDS_BY_ITSELF_WITHIN_S
    while (left := processes_of(name, directory)) and time.monotonic() < give_up:
        time.sleep(0.05)
    for process in left:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)


if __name__ == "__main__":
    sys.stdin.buffer.read()
    end(sys.argv[1], Path(sys.argv[2]))
