"""How much the service can do, and that four times the connections that it takes for that do not make it do less."""

from pathlib import Path

from tests.serve.load import generator
from tests.serve.load.shop import Shop, open_shop
from tests.serve.load.verdict import Verdict

CONNECTIONS = (4, 8, 16, 32, 64, 128)
ENOUGH = 0.95
KEPT = 0.8


def capacity(
    shop: Shop, folder: Path, *, seconds: float, connections: tuple[int, ...] = CONNECTIONS
) -> tuple[int, float]:
    """The fewest connections that saturate it (95 % of the best), and its best rate of decisions, per second."""
    generator.closed(shop.url, shop.key, folder, connections=16, seconds=3.0)  # first lessons, warm caches
    rates = {
        n: generator.closed(shop.url, shop.key, folder, connections=n, seconds=seconds).ok_per_s for n in connections
    }
    best = max(rates.values())
    return min(n for n, rate in rates.items() if rate >= ENOUGH * best), best


def closed_loop(folder: Path, seconds: float) -> Verdict:
    """Goodput with four times the connections that saturate, beside the peak, alternating."""
    verdict = Verdict()
    with open_shop(folder) as shop:
        saturating, _ = capacity(shop, folder, seconds=max(2.0, seconds / 6))
        crowd = 4 * saturating
        pairs = [
            (
                generator.closed(shop.url, shop.key, folder, connections=saturating, seconds=seconds / 3),
                generator.closed(shop.url, shop.key, folder, connections=crowd, seconds=seconds / 3),
            )
            for _ in range(3)
        ]
        ratios = sorted(many.ok_per_s / few.ok_per_s for few, many in pairs)
        verdict.note(
            saturating_connections=saturating,
            crowd=crowd,
            peak_per_s=[round(few.ok_per_s) for few, _ in pairs],
            goodput_per_s=[round(many.ok_per_s) for _, many in pairs],
            ratio=round(ratios[1], 3),
            crowd_p99_ms=[round(many.p99_ms, 1) for _, many in pairs],
            refused=sum(many.failed for _, many in pairs),
            counts=shop.status()["replica"]["counts"],
        )
        verdict.require(ratios[1] >= KEPT, f"goodput with {crowd} connections is {ratios[1]:.0%} of the peak")
        only = {status for _, many in pairs for status in many.statuses} - {"200", "201", "503", "429"}
        verdict.require(
            not only and not any(many.bare for _, many in pairs), f"other answers than 201, 429, 503: {only}"
        )
    return verdict
