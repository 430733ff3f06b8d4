"""A workspace directory: four readable TOML files, the database, and the salts apart from it."""

from bandit_nba.workspace.init import init_workspace
from bandit_nba.workspace.open import Inspection, Workspace, inspect_catalogue, inspect_workspace, open_workspace
from bandit_nba.workspace.salts import Secrets
from bandit_nba.workspace.service import Channel, Service

__all__ = [
    "Channel",
    "Inspection",
    "Secrets",
    "Service",
    "Workspace",
    "init_workspace",
    "inspect_catalogue",
    "inspect_workspace",
    "open_workspace",
]
