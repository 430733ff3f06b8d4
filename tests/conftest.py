"""For all tests: a real PostgreSQL for who asks; hypothesis measures no time, since work shares the machine's cores."""

from hypothesis import HealthCheck, settings

from tests.postgres import postgres

__all__ = ["postgres"]

settings.register_profile("shared machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("shared machine")
