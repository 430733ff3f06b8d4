"""A helper process of bulk retraining: it reads the log and makes features while the other process learns.

VW never lets go of Python's lock, so a thread would not do. Batches are handed over as files of one folder, which stay
in the system's memory for the moment that they live; the pipes only say which. A helper that fails, dies or cannot
start costs time, never a result: the other process then does the work by itself. It ends when its input does.
"""

import os
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec
import sqlalchemy as sa

from bandit_nba.catalogue import FactSchema
from bandit_nba.decide.policy import FeatureSettings
from bandit_nba.learn.definition import RewardDefinition
from bandit_nba.learn.examples import ExampleMaker
from bandit_nba.learn.prepared import Prepared, from_bytes, prepared, to_bytes
from bandit_nba.store.archive.restore import Archive
from bandit_nba.store.database import Database
from bandit_nba.store.learner.learning import LearningStore
from bandit_nba.store.tables import decisions

WORTH = 20_000
"""Decisions from which on a helper pays: it takes most of a second to start."""

_READY = b"ready"
_START = (
    "import sys; sys.path.append(sys.argv[1]); from bandit_nba.store.learner import beside; beside.main(sys.argv[2])"
)


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """What to make ready: of the log at `database`, under these definitions. archive: its folder."""

    database: str
    archive: str
    features: FeatureSettings
    facts: FactSchema
    rewards: RewardDefinition


class Beside:
    """The helper, seen from the process that learns: `learn.ahead.Helper`; not for several threads.

    folder: its own; made here and gone with `close`.
    """

    def __init__(self, folder: Path) -> None:
        shutil.rmtree(folder, ignore_errors=True)  # of a run that was killed
        folder.mkdir(parents=True)
        self._folder = folder
        self._process = _started(folder)
        self._said = b""
        self._ready = self._gone = False
        self._asked = 0
        self._answers: dict[int, bool] = {}

    @property
    def pid(self) -> int:
        """Of the helper's process."""
        return self._process.pid

    def begin(self, task: Task) -> None:
        """Say what to do; the helper may still be starting."""
        self._say(msgspec.json.encode(task))

    def is_ready(self) -> bool:
        """Whether it has opened the database and is still there."""
        if not self._gone:
            self._listen(0.0)
        return self._ready and not self._gone

    def ask(self, ids: Sequence[str]) -> int:
        """Begin with these decisions."""
        self._asked += 1
        try:
            _put(self._folder / f"ids-{self._asked}", msgspec.json.encode(ids))
        except OSError:  # the disk is full, say
            self._gone = True
        self._say(b"%d" % self._asked)
        return self._asked

    def has(self, number: int) -> bool:
        """Whether it has answered, or is gone."""
        self._listen(0.0)
        return self._gone or number in self._answers

    def take(self, number: int) -> Prepared | None:
        """Wait for the answer; it is given once."""
        while not self._gone and number not in self._answers:
            self._listen(None)
        if not self._answers.pop(number, False):
            return None
        path = self._folder / f"made-{number}"
        try:
            content = path.read_bytes()
            path.unlink()
        except OSError:
            return None
        return from_bytes(content)

    def close(self) -> None:
        """End it where it stands: it only reads."""
        with self._process as process:
            process.kill()
        self._gone = True
        shutil.rmtree(self._folder, ignore_errors=True)

    def _say(self, line: bytes) -> None:
        assert self._process.stdin is not None  # noqa: S101 - opened as a pipe
        try:
            self._process.stdin.write(line + b"\n")
        except OSError:
            self._gone = True

    def _listen(self, wait_s: float | None) -> None:
        """Hear what it said, waiting for it at most so long; None: until it says something or is gone."""
        assert self._process.stdout is not None  # noqa: S101 - opened as a pipe
        pipe, poll = self._process.stdout.fileno(), select.poll()
        poll.register(pipe, select.POLLIN)
        while not self._gone and poll.poll(None if wait_s is None else wait_s * 1e3):
            heard = os.read(pipe, 1 << 16)
            self._gone = not heard
            *lines, self._said = (self._said + heard).split(b"\n")
            for line in lines:
                self._hear(line)
            wait_s = 0.0

    def _hear(self, line: bytes) -> None:
        if line == _READY:
            self._ready = True
            return
        number, _, made = line.partition(b" ")
        if number.isdigit():  # whatever else a library prints there is no answer
            self._answers[int(number)] = made == b"made"


@contextmanager
def helping(folder: Path, database: Database, task: Task) -> Iterator[Beside | None]:
    """A helper at `task`, or None where it would not pay: on a single core, or for a log of less than `WORTH` rows."""
    if not (_has_cores() and _is_long(database)):
        yield None
        return
    helper = Beside(folder)
    try:
        helper.begin(task)
        yield helper
    finally:
        helper.close()


def _has_cores() -> bool:
    return len(os.sched_getaffinity(0)) > 1 if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1) > 1


def _is_long(database: Database) -> bool:
    with database.read() as connection:
        return connection.execute(sa.select(decisions.c.id).offset(WORTH).limit(1)).first() is not None


def _started(folder: Path) -> subprocess.Popen[bytes]:
    package = str(Path(__file__).resolve().parents[3])  # last on its path: it may be where it is by no install
    return subprocess.Popen(  # noqa: S603 (our own module)
        [sys.executable, "-P", "-c", _START, package, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # whatever fails there is tried again here, and told here
        bufsize=0,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
    )


def _put(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)


def main(folder: str) -> None:
    """The helper itself: answers until its input ends."""
    try:
        _serve(Path(folder))
    except (KeyboardInterrupt, BrokenPipeError):
        os._exit(1)


def _serve(folder: Path) -> None:
    task = msgspec.json.decode(sys.stdin.buffer.readline(), type=Task)
    database = Database.open(task.database, create=False)
    log = LearningStore(database, clock=time.time, holder="beside", archive=Archive(Path(task.archive)))
    maker = ExampleMaker(task.features, task.facts, task.rewards, catalogue=log.catalogue)
    _answer(_READY)
    for line in sys.stdin.buffer:
        number = int(line)
        path = folder / f"ids-{number}"
        try:
            made = prepared(maker, log.batch(msgspec.json.decode(path.read_bytes(), type=list[str])))
            content = None if made is None else to_bytes(made)
        except Exception:  # noqa: BLE001 - the other process tries again and meets it itself
            content = None
        path.unlink()
        if content is not None:
            _put(folder / f"made-{number}", content)
        _answer(b"%d %s" % (number, b"failed" if content is None else b"made"))
    database.close()


def _answer(line: bytes) -> None:
    sys.stdout.buffer.write(line + b"\n")
    sys.stdout.buffer.flush()
