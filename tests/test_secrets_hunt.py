"""The hunt for secrets really fails a run: here are runs that leak."""

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CONFTEST = "from tests.secrets_hunt import *  # noqa\nfrom tests.secrets_hunt import pytest_configure\n"

CLEAN = """
def test_clean():
    from bandit_nba.access.key import new_key
    from bandit_nba.customers.pseudonym import pseudonym
    assert new_key().id and pseudonym(b"k", "customer-hunted-1")
"""
LEAKS = """
import asyncio, logging
from bandit_nba.access.key import new_key
from bandit_nba.customers import pseudonym
from serve import endpoint

def test_key_in_log():
    logging.getLogger("nba.x").warning("it was %s", new_key().text)

def test_customer_in_a_trace():
    pseudonym.pseudonym(b"k", "customer-hunted-1")
    try:
        raise ValueError("bad: customer-hunted-1")
    except ValueError:
        logging.getLogger("elsewhere").exception("failed")

def test_secret_in_a_file(tmp_path):
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "replica-1.log").write_text(new_key().text.split("_", 2)[2])

def test_key_in_an_answer():
    async def send(_):
        pass
    asyncio.run(endpoint.send_reply(send, endpoint.Reply(422, new_key().text.encode())))
"""
FINDS = [
    "an API key in the log (nba.x)",
    "a raw customer id (cu..., 17 characters) in the log (elsewhere)",
    "an API key in the file ",
    "an API key in an answer (422)",
]


def run(code: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Outside of this run's own temporary folder, where it would be found."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "conftest.py").write_text(CONFTEST)
        (folder / "test_it.py").write_text(CLEAN + code)
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "-p",
            "no:schemathesis",
            "-c",
            "/dev/null",
            "--rootdir",
        ]
        return subprocess.run(
            [*command, name, "--basetemp", f"{name}/t", *options, name],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )


def test_a_clean_run_passes() -> None:
    done = run("")

    assert (done.returncode, "secrets found" in done.stdout) == (0, False), done.stdout + done.stderr


@pytest.mark.parametrize("options", [(), ("-n", "1")])
def test_leaks_fail_the_run_though_its_tests_pass(options: tuple[str, ...]) -> None:
    done = run(LEAKS, *options)

    assert "5 passed" in done.stdout, done.stdout + done.stderr
    assert done.returncode == 1
    told = done.stdout.partition("secrets found")[2]
    assert [find for find in FINDS if find not in told] == []
    assert "customer-hunted-1" not in done.stdout
