"""For all tests: a real PostgreSQL for who asks; hypothesis measures no time, since work shares the machine's cores;
workspaces have the same secrets in each run, and half a minute for each answer; and no run passes whose logs or
answers hold a secret.
"""

import os

import pytest
from hypothesis import HealthCheck, settings

from tests import patient, same_secrets
from tests.postgres import postgres
from tests.secrets_hunt import pytest_configure, pytest_sessionfinish, pytest_terminal_summary, pytest_testnodedown

__all__ = [
    "postgres",
    "pytest_configure",
    "pytest_sessionfinish",
    "pytest_terminal_summary",
    "pytest_testnodedown",
]

settings.register_profile(
    "shared machine",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=not os.environ.get(same_secrets.OTHERS),  # the same examples in each run
    database=None,
)
settings.load_profile("shared machine")


@pytest.fixture(autouse=True, scope="session")
def _patient_channels() -> None:
    patient.begin()


@pytest.fixture(autouse=True, scope="session")
def _same_secrets(tmp_path_factory: pytest.TempPathFactory) -> None:
    same_secrets.begin(tmp_path_factory.getbasetemp())
