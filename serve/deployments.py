"""What Ray Serve runs: replicas that decide, and one learner. On a cluster: `serve run serve.deployments:replicas`.

The classes hold names only and import inside: Ray sends them to other processes.
"""

from typing import Any, cast

from ray import serve as ray_serve
from ray.serve import Application, Deployment

REPLICA_CPUS = 0.3
LEARNER_CPUS = 0.3
DRAIN_S = 10.0
YOUNG_OBJECTS = 10_000


@ray_serve.deployment(
    name="replica",
    ray_actor_options={"num_cpus": REPLICA_CPUS},
    # Ray's own counters are bypassed (see `direct`); these bound the detour through Ray's proxy, taken while the front
    # end knows no replica. Ray's defaults would queue without limit.
    max_ongoing_requests=1_000,
    max_queued_requests=2_000,
    health_check_period_s=5,
    health_check_timeout_s=15,
    graceful_shutdown_timeout_s=DRAIN_S + 5,
    graceful_shutdown_wait_loop_s=0.5,
)
@ray_serve.ingress()
class ReplicaDeployment:
    """One replica of a workspace's API."""

    def __init__(self, path: str) -> None:
        from bandit_nba.online.replica import Replica
        from bandit_nba.workspace import open_workspace
        from serve.logs import write_logs

        workspace = open_workspace(path)
        write_logs(workspace.path, "replica")
        self._replica = Replica.open(workspace)

    def __serve_build_asgi_app__(self) -> Any:
        """The application, also for the short way; its lifespan closes the replica."""
        import gc

        from serve import direct
        from serve.app import create_app
        from serve.tracing import tracing_from_environment

        app = create_app(self._replica, tracing=tracing_from_environment())
        gc.collect()
        gc.freeze()  # what is here now stays: a full collection would stop all requests for 100 ms to look through it
        gc.set_threshold(YOUNG_OBJECTS)  # Python's 700 are a dozen requests; hardly any of theirs needs the collector
        direct.serve_here(app)
        return app

    def check_health(self) -> None:
        """Raise where only a new process helps; a store that fails is no such case."""
        if not self._replica.alive:
            raise RuntimeError("a background thread of the replica has died")


@ray_serve.deployment(
    name="learner",
    num_replicas=1,
    ray_actor_options={"num_cpus": LEARNER_CPUS},
    max_ongoing_requests=10,
    max_queued_requests=10,
    health_check_period_s=5,
    health_check_timeout_s=30,
    graceful_shutdown_timeout_s=DRAIN_S + 5,
    graceful_shutdown_wait_loop_s=0.5,
)
class LearnerDeployment:
    """The learner of a workspace: one process, and a lease in case there are ever two."""

    def __init__(self, path: str) -> None:
        from bandit_nba.online.learning_loop import LearningLoop
        from bandit_nba.store.database import Database
        from bandit_nba.workspace import open_workspace
        from serve.logs import write_logs

        workspace = open_workspace(path)
        write_logs(workspace.path, "learner")
        self._database = Database.open(workspace.database_url)
        self._loop = LearningLoop.open(workspace, self._database)
        self._loop.start()

    def check_health(self) -> None:
        """Raise where only a new process helps."""
        if not self._loop.status().alive:
            raise RuntimeError("the learner's thread has died")

    def __del__(self) -> None:
        """Publish what is learned but not published yet."""
        self._loop.stop(within_s=DRAIN_S)
        self._database.close()


def replicas(args: dict[str, str]) -> Application:
    """The replicas of a workspace. args: `workspace`, its directory; `replicas`, how many (default 1)."""
    count = int(args.get("replicas", "1"))
    # By Ray's default an update first ends what serves and then starts what follows it.
    deployment = cast(Deployment, ReplicaDeployment).options(num_replicas=count, max_surge_percent=100)
    application: Application = deployment.bind(args["workspace"])
    return application


def learner(args: dict[str, str]) -> Application:
    """The learner of a workspace. args: `workspace`, its directory."""
    application: Application = cast(Deployment, LearnerDeployment).bind(args["workspace"])
    return application
