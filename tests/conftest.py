"""For all tests: a real PostgreSQL for who asks; hypothesis measures no time, since work shares the machine's cores;
and no run passes whose logs or answers hold a secret.
"""

from hypothesis import HealthCheck, settings

from tests.postgres import postgres
from tests.secrets_hunt import pytest_configure, pytest_sessionfinish, pytest_terminal_summary, pytest_testnodedown

__all__ = [
    "postgres",
    "pytest_configure",
    "pytest_sessionfinish",
    "pytest_terminal_summary",
    "pytest_testnodedown",
]

settings.register_profile("shared machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("shared machine")
