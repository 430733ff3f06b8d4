"""What is done to the service, by name. Each gets a world under load and returns when it has done its worst.

How the faults are made is told in docs/promises.md, last section; a test holds the two lists together.
"""

import errno
from collections.abc import Callable
from dataclasses import dataclass

from tests.faults.ray_service import RayService
from tests.faults.shim import Rule
from tests.faults.world import STRIKES_WITHIN_S, World

PUBLISHING = 24
"""So many writes to the log in one transaction are a model's checkpoint; a lease or a horizon takes fewer."""
RECOVERS_WITHIN_S = 15.0
ROLLS_BACK_WITHIN_S = 5.0


@dataclass(frozen=True)
class Scenario:
    """run: under load. first: before the first start. replicas, learners: how many.

    postgres: on a PostgreSQL of its own rather than on SQLite. ray: as Ray Serve runs it.
    """

    name: str
    run: Callable[[World, int], None]
    replicas: int = 1
    learners: int = 1
    first: Callable[[World], None] | None = None
    postgres: bool = False
    ray: bool = False


def kill_replica(world: World, rounds: int) -> None:
    """kill -9 of a replica before a write, in the midst of one, before and after the commit's fsync."""
    for _ in range(rounds):
        points = {
            "before write": Rule(call="write", action="kill before", skip=world.rng.randrange(40)),
            "in the midst of a write": Rule(call="write", action="tear", skip=world.rng.randrange(40)),
            "after write before commit": Rule(call="fsync", action="kill before", skip=world.rng.randrange(20)),
            "after commit before answer": Rule(call="fsync", action="kill after", skip=world.rng.randrange(20)),
        }
        for point, rule in points.items():
            world.run(world.rng.uniform(0.2, 0.8))
            world.kill_at(world.replicas[0], rule, point=point)
    world.run(0.5)


def kill_learner(world: World, rounds: int) -> None:
    """kill -9 of the learner before its commit, while it publishes a model, and after its commit."""
    for _ in range(rounds):
        extra = world.rng.randrange(40)
        points = {
            "while publishing a model": Rule(call="write", action="kill before", run_of=PUBLISHING, skip=extra),
            "in the midst of a write of a model": Rule(call="write", action="tear", run_of=PUBLISHING, skip=extra),
            "before commit": Rule(call="fsync", action="kill before", run_of=PUBLISHING),
            "after commit": Rule(call="fsync", action="kill after", run_of=PUBLISHING),
        }
        for point, rule in points.items():
            world.run(world.rng.uniform(0.2, 0.6))
            world.kill_at(world.learners[0], rule, point=point)
    world.run(0.5)


def kill_start(world: World, rounds: int) -> None:
    """kill -9 of a replica and of the learner while they start, also on the log that a kill left."""
    for _ in range(rounds):
        for process in (world.replicas[0], world.learners[0]):
            call = world.rng.choice(("write", "fsync"))
            process.kill()
            skip = world.rng.randrange(4)
            process.faults.arm(Rule(call=call, action="kill before", file="any", skip=skip))
            world.tell(f"kill -9 of {process.name} during its start, {call} {skip + 1}")
            process.start()
            if process.role == "replica":
                process.ask_until_dead()
            if not process.wait_until_dead(within_s=STRIKES_WITHIN_S):
                world.history.violated(f"the runner: {process.name} was not killed during its start")
            process.faults.disarm()
            world.start()


def kill_first_start(world: World) -> None:
    """The same where there is no store yet: while tables are made and definitions are left."""
    process = world.replicas[0]
    for skip in (0, world.rng.randrange(1, 6), world.rng.randrange(6, 40)):
        world.tell(f"kill -9 of {process.name} during the first start, write {skip + 1}")
        process.faults.arm(Rule(call="write", action="kill before", file="any", skip=skip))
        process.start()
        process.ask_until_dead()
        process.wait_until_dead(within_s=STRIKES_WITHIN_S)
        process.kill()
        process.faults.disarm()


def kill_checkpoint(world: World, rounds: int) -> None:
    """kill -9 while the log is copied into the main file, which the runner lets happen every megabyte or so."""
    for _ in range(2 * rounds):
        process = world.rng.choice(world.processes)
        action = world.rng.choice(("kill before", "tear", "kill after"))
        call = "write" if action == "tear" else world.rng.choice(("write", "fsync"))
        skip = world.rng.randrange(30) if call == "write" else 0
        world.kill_at(
            process, Rule(call=call, action=action, file="main", skip=skip), point=f"checkpoint, {action} {call}"
        )
        world.run(0.3)


def kill_anything(world: World, rounds: int) -> None:
    """kill -9 from outside at any moment, of any of two replicas and two learners; some are only paused."""
    for _ in range(8 * rounds):
        world.run(world.rng.uniform(0.1, 0.9))
        process = world.rng.choice(world.processes)
        if world.rng.random() < 0.3:
            world.tell(f"{process.name} stands still for a second")
            process.pause(for_s=1.0)
        else:
            world.tell(f"kill -9 of {process.name}")
            process.kill()
            world.start()
    world.tell("kill -9 of everything at once")
    for process in world.processes:
        process.kill()
    world.start()
    world.run(1.0)


def fail_io(world: World, rounds: int) -> None:
    """The n-th write and the n-th fsync fail with EIO, once and again and again, under replica and learner.

    With the fsync the commit fails. A kill right after it may bring the commit back: it stands whole in the log.
    """
    replica, learner = world.replicas[0], world.learners[0]
    for _ in range(rounds):
        for process, run_of in ((replica, 0), (learner, PUBLISHING)):
            for call in ("write", "fsync"):
                skip = world.rng.randrange(20) if not run_of else 0
                rule = Rule(call=call, action="fail", skip=skip, run_of=run_of)
                world.fail(process, rule, point=f"{call} {skip + 1} fails")
                world.run(0.3)
        for call in ("write", "fsync"):
            times = world.rng.randrange(5, 15)
            world.fail(replica, Rule(call=call, action="fail", times=times), point=f"{times} calls of {call} fail")
            world.wait_until_ready_again(replica, within_s=RECOVERS_WITHIN_S)
        world.fail(replica, Rule(call="fsync", action="fail", skip=world.rng.randrange(9)), point="a commit in doubt")
        world.tell(f"kill -9 of {replica.name}")
        replica.kill()
        world.start()
    world.run(0.5)


def disk_full(world: World, rounds: int) -> None:
    """No byte can be written for a while: nothing is acknowledged, readiness says why, and it recovers by itself."""
    for _ in range(rounds):
        world.run(1.0)
        world.tell("the disk is full")
        for process in world.processes:
            process.faults.arm(Rule(call="write", action="fail", file="any", error=errno.ENOSPC, times=0))
        world.check_nothing_is_acknowledged("the disk is full")
        status, body = world.replicas[0].ready()
        if status != 503 or b"full" not in body:
            world.history.violated(f"P1: the disk is full, and readiness says {status} {body!r}")
        world.tell("space is freed")
        for process in world.processes:
            process.faults.disarm()
        world.wait_until_ready_again(world.replicas[0], within_s=RECOVERS_WITHIN_S)
        world.check_it_goes_on("space was freed")
        world.run(0.5)
    said = "".join(path.read_text() for path in (world.workspace / "logs").glob("replica-*.log"))
    for line in ("nothing can be stored", "the store takes writes again"):
        if line not in said:
            world.history.violated(f"the replica's log does not say {line!r}")


def clock_jumps(world: World, rounds: int) -> None:
    """Clocks are put forwards and backwards, together and apart, also over restarts."""
    for _ in range(rounds):
        ahead = world.rng.uniform(60.0, 7_200.0)
        jumps = {
            "all clocks put forward": (ahead, ahead),
            "all clocks put back": (0.0, 0.0),
            "the learner's clock put forward": (0.0, ahead / 60),
            "the replica's clock put back, the learner's right": (-ahead, 0.0),
            "the learner's clock put back": (0.0, -ahead),
        }
        for words, (of_replica, of_learner) in jumps.items():
            world.tell(f"{words} ({of_replica:+.0f} s, {of_learner:+.0f} s)")
            world.put_clocks(replicas=of_replica, learners=of_learner)
            world.run(1.5)
            if world.rng.random() < 0.4:
                process = world.rng.choice(world.processes)
                world.tell(f"kill -9 of {process.name}")
                process.kill()
                world.start()
    world.put_clocks(replicas=4 * 7_200.0, learners=4 * 7_200.0)  # so that whatever was stamped matures
    world.run(1.0)


def bad_model(world: World, rounds: int) -> None:
    """Models damaged in the store: replicas go on with another or without; the learner learns anew."""
    for _ in range(rounds):
        for column in ("sparse", "model"):
            world.run(1.0)
            world.wait_until_published(2)
            world.tell(f"a bit of the newest model's {column!r} flips, and everything starts again")
            for process in world.processes:
                process.kill()
            world.damage_newest_model(column)
            world.start()
            world.check_it_goes_on(f"P7: a model's {column!r} is damaged")


def roll_back(world: World, rounds: int) -> None:
    """Any published model serves on all replicas soon after it was asked for, under load; then the newest again."""
    world.wait_until_published(4)
    for _ in range(2 * rounds):
        versions = world.published()
        version = world.rng.choice(versions[1:])
        took_s = world.serve(version)
        world.tell(f"back to one of {len(versions)} models, on all replicas after {took_s:.1f} s")
        if took_s > ROLLS_BACK_WITHIN_S:
            world.history.violated(f"P9: rolling back to {version} took {took_s:.1f} s")
        world.run(1.0)
        world.serve("")
        world.run(0.5)


def kill_on_ray(world: World, rounds: int) -> None:
    """The service as `nba serve` runs it: kill -9 of a replica, of the learner, and of the whole."""
    service = world.replicas[0]
    assert isinstance(service, RayService)
    for _ in range(rounds):
        for part in ("replica", "learner"):
            world.run(2.0)
            world.tell(f"kill -9 of Ray's process of the {part}")
            if not service.kill_part(part, within_s=STRIKES_WITHIN_S):
                world.history.violated(f"the runner: no process of the {part} was found, or none came again")
            world.wait_until_ready_again(service, within_s=4 * RECOVERS_WITHIN_S)
        world.run(2.0)
        world.tell("kill -9 of the whole service")
        service.kill()
        world.start()
        world.run(2.0)


def postgres_fails(world: World, rounds: int) -> None:
    """PostgreSQL crashes and is started again; is slow; is cut off before and after a commit that it has heard of."""
    found = world.postgres
    assert found is not None
    for _ in range(rounds):
        for cut in ("before", "after", "before", "after"):
            world.run(world.rng.uniform(0.3, 0.9))
            world.cut_commit(cut)
            world.run(0.2)
        world.tell("PostgreSQL answers each packet 50 ms late")
        found.proxy.delay_s = 0.05
        world.run(2.0)
        found.proxy.delay_s = 0.0
        world.tell("PostgreSQL crashes")
        found.server.stop()
        world.check_nothing_is_acknowledged("PostgreSQL is stopped")
        status, body = world.replicas[0].ready()
        if status != 503 or b"cannot be reached" not in body:
            world.history.violated(f"P1: PostgreSQL is stopped, and readiness says {status} {body!r}")
        found.server.start()
        world.wait_until_ready_again(world.replicas[0], within_s=RECOVERS_WITHIN_S)
        world.run(0.5)
        world.tell("nobody can connect for a second")
        found.proxy.be_deaf(True)
        world.run(1.0)
        found.proxy.be_deaf(False)
        world.wait_until_ready_again(world.replicas[0], within_s=RECOVERS_WITHIN_S)
        process = world.rng.choice(world.processes)
        world.tell(f"kill -9 of {process.name}")
        process.kill()
        world.start()
    world.run(1.0)


def quiet(world: World, _rounds: int) -> None:
    """Nothing happens."""
    world.run(3.0)


SCENARIOS = {
    scenario.name: scenario
    for scenario in (
        Scenario("kill-replica", kill_replica),
        Scenario("kill-learner", kill_learner),
        Scenario("kill-start", kill_start, first=kill_first_start),
        Scenario("kill-checkpoint", kill_checkpoint),
        Scenario("kill-anything", kill_anything, replicas=2, learners=2),
        Scenario("fail-io", fail_io),
        Scenario("disk-full", disk_full),
        Scenario("clock-jumps", clock_jumps),
        Scenario("bad-model", bad_model),
        Scenario("roll-back", roll_back, replicas=2),
        Scenario("postgres", postgres_fails, postgres=True),
        Scenario("ray", kill_on_ray, ray=True),
    )
}
