"""docs/http.md says what the service does, no more and no less."""

import asyncio
import re
from pathlib import Path

from serve import problem
from serve.problem import Kind
from tests.serve.asgi_client import Client

DOCUMENT = (Path(__file__).parents[2] / "docs" / "http.md").read_text()


def test_every_address_is_documented(client: Client) -> None:
    described = asyncio.run(client.get("/openapi.json")).json["paths"]
    served = {f"{method.upper()} {path}" for path, methods in described.items() for method in methods}

    documented = set(re.findall(r"^\| `([A-Z]+ /[^`]*)`", DOCUMENT, re.MULTILINE))
    assert documented == served | {"GET /openapi.json"}


def test_every_refusal_is_documented_with_its_status() -> None:
    kinds = {(str(kind.status), kind.name) for kind in vars(problem).values() if isinstance(kind, Kind)}

    rows = re.findall(r"^\| (\d{3}) \| (.*?) \|", DOCUMENT, re.MULTILINE)
    documented = {(status, name) for status, names in rows for name in re.findall(r"`([a-z-]+)`", names)}
    assert documented == kinds
