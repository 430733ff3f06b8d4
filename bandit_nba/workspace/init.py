"""A new workspace: five commented TOML files from a template, and fresh secrets."""

from importlib import resources
from pathlib import Path

from bandit_nba.errors import SettingsError
from bandit_nba.settings import nearest
from bandit_nba.workspace.salts import SECRETS_FILE, create_secrets

FILES = ("catalogue.toml", "rewards.toml", "policy.toml", "service.toml", "labels.toml")
TEMPLATES = ("telco", "personalizer")
_IGNORED = (
    "# The data and the secrets of a workspace belong into a backup, never into version control.\n/data/\n/secrets/\n"
)


def init_workspace(path: Path | str, *, template: str = "telco") -> tuple[Path, ...]:
    """Write a new workspace and return the files written.

    Raises
    ------
    SettingsError
        Where the template is unknown, the directory cannot be written, or any file of a workspace is already there:
        nothing is ever overwritten.
    """
    directory = Path(path).expanduser().resolve()
    if template not in TEMPLATES:
        raise SettingsError("unknown template", got=template, hint=nearest(template, TEMPLATES))
    _refuse_existing(directory)
    source = resources.files("bandit_nba.templates") / template
    try:
        directory.mkdir(parents=True, exist_ok=True)
        written = [_write(directory / name, (source / name).read_text(encoding="utf-8")) for name in FILES]
        written.append(create_secrets(directory))
        if not (directory / ".gitignore").exists():
            written.append(_write(directory / ".gitignore", _IGNORED))
    except OSError as error:
        raise SettingsError(f"cannot be written ({error.strerror or error})", where=str(directory)) from None
    return tuple(written)


def _refuse_existing(directory: Path) -> None:
    if directory.exists() and not directory.is_dir():
        raise SettingsError("is a file, not a directory", where=str(directory))
    if "?" in str(directory):
        raise SettingsError("a workspace's path cannot hold a question mark", where=str(directory))
    for name in (*FILES, SECRETS_FILE, "data"):
        if (directory / name).exists():
            raise SettingsError(
                "there is already a workspace; nothing was written",
                where=str(directory),
                got=str(name),
                allowed="a new or empty directory",
            )


def _write(path: Path, text: str) -> Path:
    with path.open("x", encoding="utf-8") as file:  # "x": never over an existing file
        file.write(text)
    return path
