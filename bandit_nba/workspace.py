"""A workspace directory: four readable TOML files, the database, and the salts apart from it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from msgspec import Meta

from bandit_nba.catalogue import Catalogue
from bandit_nba.decide.policy import Policy
from bandit_nba.learn.definition import RewardDefinition
from bandit_nba.settings import Settings

Port = Annotated[int, Meta(ge=1, le=65_535)]


class Channel(Settings, frozen=True, kw_only=True):
    """How one channel asks: how long an answer is valid, and whether it counts only after `activate`.

    valid_for: ISO-8601. activation: "immediate" or "deferred"; activate_within: ISO-8601, how long a deferred decision
    waits for its activation before it expires.
    """

    valid_for: str = "PT30M"
    activation: Annotated[str, Meta(pattern="^(immediate|deferred)$")] = "immediate"
    activate_within: str = "PT30M"


class Service(Settings, frozen=True, kw_only=True):
    """How the service runs. database: empty for the workspace's own SQLite file, or an SQLAlchemy URL."""

    channels: Mapping[Annotated[str, Meta(pattern="^[a-z][a-z0-9_]{0,63}$")], Channel]
    database: str = ""
    host: str = "127.0.0.1"
    port: Port = 8080
    replicas: Annotated[int, Meta(ge=1, le=64)] = 1
    publish_every: str = "PT2S"
    poll_every: str = "PT0.5S"
    max_queued: Annotated[int, Meta(ge=1, le=100_000)] = 2_000
    max_batch: Annotated[int, Meta(ge=1, le=10_000)] = 256


@dataclass(frozen=True)
class Workspace:
    """Everything a workspace declares, read and checked once."""

    path: Path
    catalogue: Catalogue
    rewards: RewardDefinition
    policy: Policy
    service: Service
