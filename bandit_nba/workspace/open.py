"""Opening a workspace: every file is read and checked, then all of them against each other."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from bandit_nba.catalogue import Catalogue
from bandit_nba.catalogue.load import catalogue_problems
from bandit_nba.catalogue.rules import CompiledRules, compile_rules, rule_problems
from bandit_nba.decide.choice.salt import Salt
from bandit_nba.decide.explain.labels import Dictionary
from bandit_nba.decide.policy import Policy
from bandit_nba.errors import NbaError, SettingsError
from bandit_nba.learn.definition import RewardDefinition
from bandit_nba.settings import convert, problems, read_table
from bandit_nba.workspace.agreement import notes, policy_problems, reward_problems
from bandit_nba.workspace.arbitration import arbitration_problems, with_values
from bandit_nba.workspace.labels import label_notes, load_labels
from bandit_nba.workspace.salts import Secrets, load_secrets
from bandit_nba.workspace.service import Service, service_problems

T = TypeVar("T")

FILES = ("catalogue.toml", "rewards.toml", "policy.toml", "service.toml")
DATABASE_FILE = Path("data") / "nba.db"
DATABASE_VARIABLE = "NBA_DATABASE_URL"
"""An environment variable that goes before `database` in service.toml; the place for a password."""
ARCHIVE_FOLDER = Path("data") / "archive"


@dataclass(frozen=True, kw_only=True)
class Workspace:
    """Everything a workspace declares, read and checked once."""

    path: Path
    catalogue: Catalogue
    rules: CompiledRules = field(repr=False)
    rewards: RewardDefinition
    policy: Policy
    service: Service
    secrets: Secrets = field(repr=False)
    labels: Dictionary = field(default_factory=Dictionary, repr=False)

    @property
    def salt(self) -> Salt:
        """The salt of new decisions."""
        return self.secrets.salt

    @property
    def salts(self) -> Mapping[str, Salt]:
        """All salts by id; the log names the one of each decision."""
        return self.secrets.salts

    @property
    def pseudonym_key(self) -> bytes:
        """The key of `customers.pseudonym.pseudonym`."""
        return self.secrets.pseudonym_key

    @property
    def database_url(self) -> str:
        """SQLAlchemy's URL of the store: the environment's, the service's own, or the workspace's SQLite file."""
        return os.environ.get(DATABASE_VARIABLE) or self.service.database or f"sqlite:///{self.path / DATABASE_FILE}"

    @property
    def archive_folder(self) -> Path:
        """Where closed days of the log go; machines that share a store share this folder, too."""
        return self.path / ARCHIVE_FOLDER


@dataclass(frozen=True)
class Inspection:
    """What was found in a workspace: mistakes in the order of the files, notes in words, and the workspace if sound."""

    problems: tuple[NbaError, ...]
    notes: tuple[str, ...] = ()
    workspace: Workspace | None = None


def open_workspace(path: Path | str) -> Workspace:
    """Read and check a workspace.

    Raises
    ------
    NbaError
        `SettingsError` or `RuleError` for the first mistake; `inspect_workspace` lists all of them.
    """
    found = inspect_workspace(path)
    if found.workspace is None:
        raise found.problems[0]
    return found.workspace


def inspect_workspace(path: Path | str) -> Inspection:
    """Read a workspace and list every mistake in it; raises nothing for what stands in its files."""
    directory = Path(path).expanduser().resolve()
    if not directory.is_dir() or "?" in str(directory):
        return Inspection((_no_directory(directory),))
    if not any((directory / name).exists() for name in FILES):
        return Inspection((_no_directory(directory),))
    found: list[NbaError] = []
    service = _service(directory, found)
    catalogue = _catalogue(directory, service, found)
    rewards = _read(directory / "rewards.toml", RewardDefinition, found)
    policy = _policy(directory, found)
    secrets = _secrets(directory, found)
    labels = _labels(directory, found)
    if rewards and service and not found:
        found.extend(reward_problems(rewards, service, where="rewards.toml"))
    if policy and catalogue and service:
        found.extend(arbitration_problems(policy.arbitration, catalogue, channels=service.channels))
    if policy and catalogue and rewards:
        found.extend(policy_problems(policy, catalogue, rewards, where="policy.toml"))
    if found or not (service and catalogue and rewards and policy and secrets):
        return Inspection(tuple(found))
    workspace = Workspace(
        path=directory,
        catalogue=catalogue,
        rules=compile_rules(catalogue),
        rewards=rewards,
        policy=policy,
        service=service,
        secrets=secrets,
        labels=labels,
    )
    return Inspection((), (*notes(policy, catalogue, service), *label_notes(labels, catalogue)), workspace)


def inspect_catalogue(path: Path | str) -> tuple[Catalogue | None, tuple[NbaError, ...]]:
    """The catalogue of a workspace and every mistake in it, held against the service's channels."""
    directory = Path(path).expanduser().resolve()
    if not directory.is_dir():
        raise _no_directory(directory)
    found: list[NbaError] = []
    catalogue = _catalogue(directory, _service(directory, found), found)
    return catalogue, tuple(found)


def _service(directory: Path, found: list[NbaError]) -> Service | None:
    service = _read(directory / "service.toml", Service, found)
    if service:
        found.extend(service_problems(service, where="service.toml"))
    return service


def _catalogue(directory: Path, service: Service | None, found: list[NbaError]) -> Catalogue | None:
    catalogue = _read(directory / "catalogue.toml", Catalogue, found)
    if catalogue and service:
        found.extend(catalogue_problems(catalogue, channels=service.channels, where="catalogue.toml"))
    if catalogue:
        found.extend(rule_problems(catalogue, where="catalogue.toml"))
    return catalogue


def _policy(directory: Path, found: list[NbaError]) -> Policy | None:
    policy = _read(directory / "policy.toml", Policy, found)
    try:
        return with_values(policy, directory) if policy else None
    except SettingsError as error:
        found.append(error)
        return None


def _read(path: Path, kind: type[T], found: list[NbaError]) -> T | None:
    """One file, or `None` with its mistakes added to `found`."""
    try:
        table = read_table(path)
        wrong = list(problems(table, kind, where=path.name))
        found.extend(wrong)
        return None if wrong else convert(table, kind, where=path.name)
    except SettingsError as error:
        found.append(error)
        return None


def _secrets(directory: Path, found: list[NbaError]) -> Secrets | None:
    try:
        return load_secrets(directory)
    except SettingsError as error:
        found.append(error)
        return None


def _labels(directory: Path, found: list[NbaError]) -> Dictionary:
    try:
        return load_labels(directory)
    except SettingsError as error:
        found.append(error)
        return Dictionary()


def _no_directory(directory: Path) -> SettingsError:
    if directory.is_dir() and "?" in str(directory):
        return SettingsError("a workspace's path cannot hold a question mark", where=str(directory))
    what = "no such workspace"
    if directory.is_dir():
        what = f"holds no workspace: none of {', '.join(FILES)}"
    elif directory.exists():
        what = "is a file, not a workspace directory"
    return SettingsError(what, where=str(directory), hint="`nba init DIR` writes a new one")
