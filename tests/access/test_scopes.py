import pytest

from bandit_nba.access.grant import Grant
from bandit_nba.access.scopes import MEANINGS, SCOPES, scopes_of
from bandit_nba.errors import InputError


def test_every_scope_says_what_it_is_for():
    assert list(MEANINGS) == list(SCOPES)


def test_unknown_scopes_are_refused_with_the_one_that_was_meant():
    with pytest.raises(InputError, match="decide"):
        scopes_of(["decied"])
    with pytest.raises(InputError, match="no scope"):
        scopes_of([])


def test_a_grant_opens_what_it_names_and_nothing_else():
    grant = Grant("k", "shop", frozenset({"decide"}), frozenset({"web"}), expires_at=10.0)

    assert [grant.allows(scope) for scope in SCOPES] == [scope == "decide" for scope in SCOPES]
    assert grant.allows_channel("web")
    assert not grant.allows_channel("app")
    assert grant.live(9.0)
    assert not grant.live(10.0)
    assert not Grant("k", "shop", frozenset({"decide"}), revoked_at=0.0).live(0.0)
    assert Grant("k", "shop", frozenset({"decide"})).allows_channel("app")
