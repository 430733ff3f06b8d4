"""Jobs over the log, one at a time and beside everything else; what they find is in the store, for every replica.

A job whose replica ended before it was done stays "Running" there; after `LONGEST_S` it is told as "Timeout".
"""

import logging
import threading
from collections.abc import Callable
from typing import cast

from bandit_nba.errors import NbaError, RefusedError, StoreBusyError, UnknownIdError
from bandit_nba.online.replica import Replica
from bandit_nba.store import judging_jobs
from bandit_nba.store.judging_jobs import Job, Kind
from serve.personalizer.admin_wire import JobStatus

log = logging.getLogger("nba.personalizer")

LONGEST_S = 3_600.0
MOST_WAITING = 4
MOST_LISTED = 1_000


class Jobs:
    """The jobs of one workspace. compute: gives JSON; what it raises in words is what the job has failed with."""

    def __init__(self, replica: Replica) -> None:
        self._replica = replica
        self._turn = threading.Lock()
        self._waiting = 0

    def start(self, job: Job, compute: Callable[[], bytes], failed: Callable[[str], bytes]) -> None:
        """Keep a job and begin with it as soon as those before are done.

        Raises
        ------
        RefusedError
            If its id is taken.
        StoreBusyError
            If too many wait here.
        """
        if self._waiting >= MOST_WAITING:
            raise StoreBusyError("too many jobs wait", got=self._waiting, hint="try again after a while")
        with self._replica.database.write() as connection:
            if not judging_jobs.add(connection, job):
                raise RefusedError("the id is taken", where=job.id[:100], hint="delete the old one, or take another id")
        self._waiting += 1
        run = threading.Thread(target=self._run, args=(job, compute, failed), name=f"nba-{job.kind}", daemon=True)
        run.start()

    def get(self, kind: Kind, job: str) -> Job:
        """A job. Raises `UnknownIdError`."""
        with self._replica.database.read() as connection:
            found = judging_jobs.get(connection, kind, job)
        if found is None:
            raise UnknownIdError(f"no such {kind}", where="id", got=job[:100])
        return found

    def listing(self, kind: Kind, *, top: int, skip: int) -> list[Job]:
        """Jobs, newest first."""
        with self._replica.database.read() as connection:
            return judging_jobs.listing(connection, kind, limit=min(top, MOST_LISTED), skip=skip)

    def delete(self, kind: Kind, job: str) -> None:
        """Remove a job. Raises `UnknownIdError`."""
        with self._replica.database.write() as connection:
            known = judging_jobs.delete(connection, kind, job)
        if not known:
            raise UnknownIdError(f"no such {kind}", where="id", got=job[:100])

    def mark(self, kind: Kind, job: str, status: JobStatus) -> None:
        """Change what is told of a job."""
        with self._replica.database.write() as connection:
            judging_jobs.change(connection, kind, job, status=status)

    def status(self, job: Job) -> JobStatus:
        """How far it is."""
        over = job.status == "Running" and self._replica.now_s() - job.created_at > LONGEST_S
        return "Timeout" if over else cast(JobStatus, job.status)

    def _run(self, job: Job, compute: Callable[[], bytes], failed: Callable[[str], bytes]) -> None:
        status: JobStatus = "Succeeded"
        try:
            with self._turn:
                try:
                    content = compute()
                except NbaError as error:
                    status, content = "Failed", failed(str(error))
                except Exception:
                    log.exception("a %s failed", job.kind)
                    status, content = "Failed", failed("an unexpected error, which the service's log explains")
                with self._replica.database.write() as connection:
                    judging_jobs.change(connection, job.kind, job.id, status=status, content=content)
        except NbaError as error:  # the store is closed, or cannot be written
            log.error("what a %s found could not be kept: %s", job.kind, error)
        finally:
            self._waiting -= 1
