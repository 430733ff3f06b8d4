"""Jobs and what they found are kept for every replica."""

from dataclasses import replace

from bandit_nba.store import judging_jobs
from bandit_nba.store.database import Database
from bandit_nba.store.judging_jobs import Job

JOB = Job(kind="evaluation", id="a", name="A", created_at=1.0, starts_at=0.0, ends_at=1.0, status="Running")


def test_jobs_are_added_once_changed_listed_and_deleted(database: Database) -> None:
    other = replace(JOB, kind="importance")
    late = replace(JOB, id="b", created_at=2.0)
    with database.write() as connection:
        assert [judging_jobs.add(connection, job) for job in (JOB, JOB, other, late)] == [True, False, True, True]
        judging_jobs.change(connection, "evaluation", "a", status="Succeeded", content=b"{}")
        judging_jobs.change(connection, "evaluation", "a", status="OptimalPolicyApplied")
    with database.read() as connection:
        found = judging_jobs.get(connection, "evaluation", "a")
        listed = judging_jobs.listing(connection, "evaluation", limit=10)
        skipped = judging_jobs.listing(connection, "evaluation", limit=10, skip=1)
    assert found == replace(JOB, status="OptimalPolicyApplied", content=b"{}")
    assert [job.id for job in listed] == ["b", "a"]
    assert [job.id for job in skipped] == ["a"]
    with database.write() as connection:
        assert judging_jobs.delete(connection, "evaluation", "a")
        assert not judging_jobs.delete(connection, "evaluation", "a")
        assert judging_jobs.get(connection, "importance", "a") == other
