"""After the run: no API key and no raw customer id in any log, error answer, metric or log file that the tests made.

The hunt listens while tests run, in each process of pytest: to every log record, every error answer and every metrics
page of the service, whichever test makes them. At the end it also reads the log files under the temporary folder. What
it looks for: whatever is written like a whole API key; the secrets of all keys made in this process; and the raw
customer ids that were turned into pseudonyms in it, as whole words (ids without a digit, or shorter than four
characters, may be any word, and are left out). One find fails the whole run, whatever its tests said.

`tests/conftest.py` takes the hooks from here; with pytest-xdist each worker hunts, and the main process tells.
"""

import logging
import re
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

KEY = re.compile(r"nba_[0-9a-f]{12}_[A-Za-z0-9_-]{43}")
WORD = re.compile(r"[\w.@+-]{4,}")
ID = re.compile(r"(?=.*\d)[\w.@+-]{4,256}", re.ASCII)
LOG_FILES = ("**/logs/*.log*", "**/serve.log", "**/output.txt", "**/*.trace.json")
MOST_BYTES = 32 * 2**20
MOST_TEXTS = 200_000

_OUTPUT = "secrets_hunt"
_FOUND = pytest.StashKey[list[str]]()


class Hunt:
    """What was heard so far, and what must not be in it."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}
        self.secrets: set[str] = set()
        self.customers: set[str] = set()
        self.ids_are_random = False

    def hear(self, where: str, text: str) -> None:
        """Keep `text` for the end; the same text once."""
        if len(self.texts) < MOST_TEXTS:
            self.texts.setdefault(text[:20_000], where)

    @contextmanager
    def random_ids(self) -> Iterator[None]:
        """Within, customer ids are made up by a fuzzer, which uses the same words elsewhere: they are not hunted."""
        self.ids_are_random = True
        yield
        self.ids_are_random = False

    def found(self, files: Iterable[Path] = ()) -> list[str]:
        """Where something was found, and what kind of thing; never the thing itself."""
        return [
            f"{kind} in {where}"
            for where, text in (*((where, text) for text, where in self.texts.items()), *_read(files))
            for kind in self._kinds(text)
        ]

    def _kinds(self, text: str) -> Iterable[str]:
        words = set(WORD.findall(text))
        if KEY.search(text) or any(secret in text for secret in self.secrets):
            yield "an API key"
        if raw := sorted(self.customers & words):
            yield f"a raw customer id ({raw[0][:2]}..., {len(raw[0])} characters)"


HUNT = Hunt()


class _Ear(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        HUNT.hear(f"the log ({record.name})", self.format(record))


def listen() -> None:
    """Begin: before the modules that make keys, pseudonyms and answers are imported by others."""
    from bandit_nba.access import key
    from bandit_nba.customers import pseudonym

    make, hide = key.new_key, pseudonym.pseudonym

    def new_key() -> key.Key:
        made = make()
        HUNT.secrets.add(made.text.split("_", 2)[2])
        return made

    def hidden(secret: bytes, raw_id: str) -> str:
        if ID.fullmatch(raw_id) and not HUNT.ids_are_random:
            HUNT.customers.add(raw_id)
        return hide(secret, raw_id)

    key.new_key, pseudonym.pseudonym = new_key, hidden
    ear = _Ear(logging.NOTSET)
    for name in ("", "nba"):  # "nba" does not propagate once a process writes log files
        logging.getLogger(name).addHandler(ear)


def listen_to_answers() -> None:
    """Hear error answers and metrics of every application that this process serves."""
    from serve import endpoint

    send = endpoint.send_reply

    async def send_reply(to: Any, reply: endpoint.Reply, **more: Any) -> None:
        if reply.status >= 400 or reply.media_type == endpoint.TEXT:
            HUNT.hear(f"an answer ({reply.status})", reply.body.decode("utf-8", "replace"))
        await send(to, reply, **more)

    endpoint.send_reply = send_reply  # type: ignore[assignment]


def _read(files: Iterable[Path]) -> Iterable[tuple[str, str]]:
    for file in files:
        try:
            if file.stat().st_size <= MOST_BYTES:
                yield (
                    f"the file {file.parent.parent.name}/{file.parent.name}/{file.name}",
                    file.read_text(errors="replace"),
                )
        except OSError:
            continue


def pytest_configure(config: pytest.Config) -> None:
    """Begin to listen."""
    if not config.getoption("collectonly", default=False):
        listen()
        listen_to_answers()


@pytest.hookimpl(wrapper=True)
def pytest_sessionfinish(session: pytest.Session) -> Generator[None, None, None]:
    """In each process: end the hunt. In the main one: fail the run if anything was found anywhere."""
    config = session.config
    folders = getattr(config, "_tmp_path_factory", None)
    base = folders.getbasetemp() if folders is not None and folders._basetemp is not None else None
    files = [file for pattern in LOG_FILES for file in base.glob(pattern)] if base else []
    found = [*config.stash.get(_FOUND, []), *HUNT.found(files)]
    config.stash[_FOUND] = found
    if hasattr(config, "workeroutput"):
        config.workeroutput[_OUTPUT] = found
    elif found:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
    return (yield)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """A worker has ended: take what it found."""
    stash = node.config.stash
    stash[_FOUND] = [*stash.get(_FOUND, []), *getattr(node, "workeroutput", {}).get(_OUTPUT, [])]


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Say what was found."""
    found = config.stash.get(_FOUND, [])
    if found:
        terminalreporter.section("secrets found", red=True)
        for line in sorted(set(found))[:50]:
            terminalreporter.line(line)
