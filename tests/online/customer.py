"""A customer to whom nearly everything of the template may be offered."""

KNOWN = {
    "tenure_months": 12.0,
    "contract": "month_to_month",
    "internet": "dsl",
    "consent_marketing": True,
    "senior": False,
}
