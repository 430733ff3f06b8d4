"""A version names one content for ever."""

import pytest

from bandit_nba.errors import IdConflictError
from bandit_nba.store.database import Database
from bandit_nba.store.registry import definitions


def test_the_same_content_may_be_kept_again_but_no_other(database: Database) -> None:
    with database.write() as connection:
        definitions.put(connection, "policy", "v1", b'{"a":1}', now_s=1.0)
        definitions.put(connection, "policy", "v1", b'{"a":1}', now_s=2.0)
        definitions.put(connection, "catalogue", "v1", b"another kind", now_s=2.0)
    with pytest.raises(IdConflictError, match="policy v1"), database.write() as connection:
        definitions.put(connection, "policy", "v1", b'{"a":2}', now_s=3.0)
    with database.read() as connection:
        assert definitions.get(connection, "policy", "v1") == b'{"a":1}'
        assert definitions.get(connection, "catalogue", "v1") == b"another kind"
        assert definitions.get(connection, "policy", "v2") is None
