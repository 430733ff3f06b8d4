"""Sampling: the definition re-done by hand, and the statistics of what it draws."""

import hashlib
from collections.abc import Iterator

import numpy as np
import pytest
from scipy import stats

from bandit_nba.decide.choice.salt import Salt
from bandit_nba.decide.choice.sample import ARM, draw, uniforms

SALT = Salt(id="s1", key=bytes(range(32)))
MASK = 2**64 - 1


def _rotate(x: int, by: int) -> int:
    return ((x << by) | (x >> (64 - by))) & MASK


def _siphash24(key: bytes, data: bytes) -> int:
    """SipHash-2-4 (Aumasson & Bernstein 2012), from the paper."""
    k0, k1 = int.from_bytes(key[:8], "little"), int.from_bytes(key[8:], "little")
    v = [k0 ^ 0x736F6D6570736575, k1 ^ 0x646F72616E646F6D, k0 ^ 0x6C7967656E657261, k1 ^ 0x7465646279746573]

    def rounds(count: int) -> None:
        for _ in range(count):
            v[0] = (v[0] + v[1]) & MASK
            v[1] = _rotate(v[1], 13) ^ v[0]
            v[0] = _rotate(v[0], 32)
            v[2] = (v[2] + v[3]) & MASK
            v[3] = _rotate(v[3], 16) ^ v[2]
            v[0] = (v[0] + v[3]) & MASK
            v[3] = _rotate(v[3], 21) ^ v[0]
            v[2] = (v[2] + v[1]) & MASK
            v[1] = _rotate(v[1], 17) ^ v[2]
            v[2] = _rotate(v[2], 32)

    for word in _words(data):
        v[3] ^= word
        rounds(2)
        v[0] ^= word
    v[2] ^= 0xFF
    rounds(4)
    return v[0] ^ v[1] ^ v[2] ^ v[3]


def _words(data: bytes) -> Iterator[int]:
    padded = data + bytes(-(len(data) + 1) % 8) + bytes([len(data) % 256])
    return (int.from_bytes(padded[i : i + 8], "little") for i in range(0, len(padded), 8))


def _splitmix64(x: int) -> int:
    """The output function of SplitMix64 (Steele, Lea & Flood 2014), Stafford's variant 13."""
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & MASK
    return x ^ (x >> 31)


def _uniform(salt: Salt, decision: str, *, purpose: str, slot: int) -> float:
    key = hashlib.blake2b(f"{purpose}:{slot}".encode(), key=salt.key).hexdigest()[:16].encode()
    return (_splitmix64(_siphash24(key, decision.encode())) >> 11) * 2.0**-53


def test_siphash_reference_gives_the_papers_vector() -> None:
    """Appendix A: key 00..0f, data 00..0e gives a129ca6149be45e5."""
    assert _siphash24(bytes(range(16)), bytes(range(15))) == 0xA129CA6149BE45E5


@pytest.mark.parametrize(("purpose", "slot"), [(ARM, 0), (ARM, 3), ("mixture", 0)])
def test_the_definition_can_be_recomputed_by_an_auditor(purpose: str, slot: int) -> None:
    ids = ["", "d", "decision-1", "nan", "Größe|a:b c\n", "x" * 1000, *(f"{i:08d}" for i in range(500))]

    got = uniforms(SALT, ids, purpose=purpose, slot=slot)

    assert got.tolist() == [_uniform(SALT, i, purpose=purpose, slot=slot) for i in ids]


def test_the_same_id_gives_the_same_number_in_any_batch() -> None:
    ids = [f"d{i}" for i in range(50)]
    whole = uniforms(SALT, ids, purpose=ARM)

    assert [uniforms(SALT, [i], purpose=ARM)[0] for i in ids] == whole.tolist()
    assert uniforms(SALT, ids[::-1], purpose=ARM)[::-1].tolist() == whole.tolist()


def test_nothing_in_gives_nothing_out() -> None:
    assert uniforms(SALT, [], purpose=ARM).shape == (0,)
    assert draw(np.zeros((0, 3)), np.zeros(0)).shape == (0,)


def test_uniform_and_independent_between_purposes_slots_and_salts() -> None:
    """100,000 consecutive ids; Kolmogorov-Smirnov and correlations, five comparisons each at 1e-4; fixed salt."""
    ids = [f"order-{i}" for i in range(100_000)]
    draws = [
        uniforms(SALT, ids, purpose=ARM),
        uniforms(SALT, ids, purpose=ARM, slot=1),
        uniforms(SALT, ids, purpose="mixture"),
        uniforms(Salt(id="s2", key=b"k" * 16), ids, purpose=ARM),
    ]

    assert all(stats.kstest(u, "uniform").pvalue > 1e-4 for u in draws)
    correlations = np.corrcoef(draws)[np.triu_indices(4, k=1)]
    assert (np.abs(correlations) < 3.9 / np.sqrt(100_000)).all()
    assert abs(np.corrcoef(draws[0][:-1], draws[0][1:])[0, 1]) < 3.9 / np.sqrt(100_000)


def test_draw_inverts_the_cumulative_distribution() -> None:
    p = np.array([[0.25, 0.5, 0.25]] * 6)
    u = np.array([0.0, 0.249, 0.25, 0.749, 0.75, 1 - 2**-53])

    assert draw(p, u).tolist() == [0, 0, 1, 1, 2, 2]


@pytest.mark.parametrize("u", [0.0, 2.0**-53, 0.5, 1 - 2**-53])
def test_an_arm_with_probability_zero_is_never_drawn(u: float) -> None:
    p = np.array([[0.0, 0.5, 0.0, 0.5, 0.0], [0.0, 0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0, 1.0]])

    chosen = draw(p, np.full(3, u))

    assert (p[np.arange(3), chosen] > 0).all()


def test_the_last_possible_arm_takes_what_rounding_leaves() -> None:
    """Ten times .1 sums to 1 - 2^-53 from the left; u at that sum would otherwise run off the end."""
    p = np.array([[0.1] * 10 + [0.0]])
    assert np.cumsum(p)[-1] == 1 - 2**-53

    assert draw(p, np.array([1 - 2**-53])).tolist() == [9]


def test_draws_have_the_stated_probabilities() -> None:
    """Chi-square over 200,000 ids and 8 arms, one of them impossible; rejects a true sampler once in 10,000 salts."""
    p = np.array([0.4, 0.0, 0.3, 0.2, 0.05, 0.03, 0.015, 0.005])
    ids = [f"decision-{i}" for i in range(200_000)]

    chosen = draw(np.broadcast_to(p, (len(ids), len(p))), uniforms(SALT, ids, purpose=ARM))

    counts = np.bincount(chosen, minlength=len(p))
    assert counts[1] == 0
    assert stats.chisquare(counts[p > 0], p[p > 0] * len(ids)).pvalue > 1e-4


def test_a_lone_id_draws_what_it_draws_among_others() -> None:
    ids = ["", "d", "ä" * 100, "0123456789abcdef", *(f"decision-{i}" for i in range(500))]

    for slot in (0, 3):
        together = uniforms(SALT, ids, purpose="component", slot=slot).tolist()
        alone = [uniforms(SALT, [one], purpose="component", slot=slot).tolist() for one in ids]
        assert alone == [[u] for u in together]
