"""What commands print alike: JSON for machines, moments, paths in commands to copy, and words of others."""

import datetime
import shlex
from pathlib import Path


def print_json(content: object) -> None:
    """The content as indented JSON."""
    import msgspec  # here, so that `nba --help` does not load it

    print(msgspec.json.format(msgspec.json.encode(content), indent=2).decode())


def utc(at_s: float) -> str:
    """Seconds since the epoch as an ISO-8601 moment in UTC."""
    return datetime.datetime.fromtimestamp(at_s, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def quoted(path: Path) -> str:
    """A path as a shell reads it, also one with blanks."""
    return shlex.quote(str(path))


def printable(text: str, *, lines: bool = False) -> str:
    """Words come from files, people and other systems: nothing in them steers a terminal, or turns the direction of
    reading. lines: ends of lines stay."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or (lines and c == "\n") else ascii(c)[1:-1] for c in text)
