"""A learner in a process of its own, for a test that kills it: `python learn_slowly.py FOLDER ATTEMPT`."""

import sys
import time
from pathlib import Path

import tiny_world as world  # a script's own folder is on its path; `tests` itself is no package

folder, attempt = Path(sys.argv[1]), int(sys.argv[2])
with world.opened(folder) as database:
    clock = world.Clock(10_000.0 + 100.0 * (attempt + 1))  # the lease of the one before has run out
    learner = world.learner(database, clock, holder=f"child-{attempt}", batch=10)
    learner.step()
    print("learning", flush=True)
    while learner.step().held:
        time.sleep(0.006)  # a machine that stalls for half a second finds it unfinished still
