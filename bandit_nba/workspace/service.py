"""How the service asks and answers: its channels, its database, and its limits."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Literal

from msgspec import Meta

from bandit_nba.catalogue.contact_rules import Direction
from bandit_nba.errors import SettingsError
from bandit_nba.settings import Settings, nearest, seconds

Port = Annotated[int, Meta(ge=1, le=65_535)]
ChannelName = Annotated[
    str,
    Meta(
        pattern=r"^[a-z][a-z0-9_]{0,63}\Z",
        description="lower-case letters, digits and _, a letter first, at most 64 characters",
    ),
]
_DATABASES = ("sqlite", "postgresql", "postgresql+psycopg")


class Channel(Settings, frozen=True, kw_only=True):
    """How one channel asks: how long an answer is valid, and whether it counts only after `activate`.

    valid_for: ISO-8601. activation: "immediate" or "deferred"; activate_within: ISO-8601, how long a deferred decision
    waits for its activation before it expires. direction: "inbound" where the customer comes, "outbound" where we go to
    the customer; contact rules tell them apart. deadline: ISO-8601, by when every request is answered; shortly before,
    the safe policy takes over (policy.toml: safe). unwritable: what is answered where nothing can be logged: "refuse"
    (HTTP 503) or "no_action", which says that it is not durable.
    """

    direction: Direction = "inbound"
    valid_for: str = "PT30M"
    activation: Literal["immediate", "deferred"] = "immediate"
    activate_within: str = "PT30M"
    deadline: str = "PT0.5S"
    unwritable: Literal["refuse", "no_action"] = "refuse"

    @property
    def deadline_s(self) -> float:
        """`deadline` in seconds."""
        return seconds(self.deadline, where="deadline")

    @property
    def valid_for_s(self) -> float:
        """`valid_for` in seconds."""
        return seconds(self.valid_for, where="valid_for")

    @property
    def activate_within_s(self) -> float:
        """`activate_within` in seconds."""
        return seconds(self.activate_within, where="activate_within")


class Personalizer(Settings, frozen=True, kw_only=True):
    """What calls of Personalizer's clients become. channel: of all of them; empty for the first one declared. context:
    the declared set for context features without a fact of their own. outcome: of a reward call, whose amount counts.
    """

    channel: str = ""
    context: str = "context"
    outcome: str = "reward"


class Service(Settings, frozen=True, kw_only=True):
    """How the service runs. database: empty for the workspace's own SQLite file, or an SQLAlchemy URL."""

    channels: Mapping[ChannelName, Channel]
    database: str = ""
    host: str = "127.0.0.1"
    port: Port = 8080
    replicas: Annotated[int, Meta(ge=1, le=64)] = 1
    publish_every: str = "PT2S"
    poll_every: str = "PT0.5S"
    max_queued: Annotated[int, Meta(ge=1, le=100_000)] = 2_000
    max_batch: Annotated[int, Meta(ge=1, le=10_000)] = 512
    personalizer: Personalizer | None = None

    @property
    def publish_every_s(self) -> float:
        """`publish_every` in seconds."""
        return seconds(self.publish_every, where="publish_every")

    @property
    def poll_every_s(self) -> float:
        """`poll_every` in seconds."""
        return seconds(self.poll_every, where="poll_every")


def service_problems(service: Service, *, where: str) -> Iterator[SettingsError]:
    """Each mistake that the types of `Service` cannot express."""
    if not service.channels:
        yield SettingsError(
            "names no channel", where=f"{where}: channels", allowed="at least one, such as [channels.web]"
        )
    durations = {"publish_every": service.publish_every, "poll_every": service.poll_every}
    for name, channel in service.channels.items():
        durations[f"channels.{name}.valid_for"] = channel.valid_for
        durations[f"channels.{name}.activate_within"] = channel.activate_within
        durations[f"channels.{name}.deadline"] = channel.deadline
    for place, duration in durations.items():
        try:
            seconds(duration, where=f"{where}: {place}")
        except SettingsError as problem:
            yield problem
    if not service.host or any(c.isspace() or c in "/:@?#" for c in service.host.replace("::", "")):
        yield SettingsError(
            "is not a host",
            where=f"{where}: host",
            got=service.host,
            allowed='a name or an address, such as "127.0.0.1"',
        )
    yield from _database_problems(service.database, f"{where}: database")


def _database_problems(database: str, place: str) -> Iterator[SettingsError]:
    """The URL itself is never shown: it may hold a password."""
    if not database:
        return
    scheme, mark, rest = database.partition("://")
    if not mark or not rest or scheme not in _DATABASES:
        yield SettingsError(
            "is not the URL of a database",
            where=place,
            got=f"{scheme}://..." if mark else "no ://",
            allowed='"" for the workspace\'s own file, or a URL such as "postgresql+psycopg://user@host/name"',
            hint=nearest(scheme, _DATABASES) if mark else "",
        )
    elif ":" in rest.rpartition("@")[0] or "password=" in rest:
        yield SettingsError(
            "holds a password, and this file may be kept where others read it",
            where=place,
            allowed="a URL without one",
            hint="set PGPASSWORD, use ~/.pgpass, or give the whole URL in the environment variable NBA_DATABASE_URL",
        )
