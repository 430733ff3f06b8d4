"""What the HTTP benchmark compares with: a plain Ray Serve deployment that sends the same JSON back, in the same mode.

`python -m experiments.bench.peer_echo PORT REPLICAS` serves until its input is closed.
"""

import os
import sys
import tempfile
import uuid
from pathlib import Path


def main(port: int, replicas: int) -> None:
    """Serve on 127.0.0.1 until standard input ends."""
    from serve.environment import free_ports, variables
    from serve.guard import guarded

    name = uuid.uuid4().hex
    directory = Path(tempfile.mkdtemp(prefix="echo-", dir="/tmp"))
    with guarded(name, directory):
        os.environ.update(variables(directory, free_ports(), name=name))
        del os.environ["RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH"]  # the product's own short way
        _serve(port, replicas, directory)


def _serve(port: int, replicas: int, directory: Path) -> None:
    import ray
    from ray import serve as ray_serve
    from ray.serve.config import HTTPOptions
    from starlette.requests import Request
    from starlette.responses import Response

    @ray_serve.deployment(num_replicas=replicas, max_ongoing_requests=1_000, ray_actor_options={"num_cpus": 0.3})
    class Echo:
        async def __call__(self, request: Request) -> Response:
            return Response(await request.body(), media_type="application/json")

    ray.init(
        address="local",
        num_cpus=2,
        include_dashboard=False,
        object_store_memory=80 * 2**20,
        log_to_driver=False,
        _temp_dir=str(directory / "ray"),
    )
    ray_serve.start(proxy_location="HeadOnly", http_options=HTTPOptions(host="127.0.0.1", port=port))
    ray_serve.run(Echo.bind(), name="echo", route_prefix="/")  # type: ignore[attr-defined]
    print("ready", flush=True)
    sys.stdin.read()
    ray_serve.shutdown()  # type: ignore[no-untyped-call]
    ray.shutdown()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
