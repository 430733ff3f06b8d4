"""The Telco world's catalogue as a workspace holds it: fifteen actions in four groups, with rules over real facts."""

from functools import lru_cache

from bandit_nba.catalogue import Catalogue
from bandit_nba.settings import parse

CHANNEL = "web"


@lru_cache(maxsize=1)
def telco_arms_catalogue() -> Catalogue:
    """The catalogue as typed settings, without a workspace's cross-checks."""
    return parse(telco_catalogue(), Catalogue, where="catalogue.toml")


def telco_catalogue() -> str:
    """The text of `catalogue.toml`."""
    return _CATALOGUE


_CATALOGUE = """\
# What a telecommunications provider can do for a customer. "No action" is always there and needs no entry.
# Rules are CEL: numbers are doubles (write 12.0), an arm stays only where every rule given for it is true.

[facts]
senior = "boolean"
partner = "boolean"
dependents = "boolean"
tenure_months = "number"
monthly_charges = "number"      # USD a month
total_charges = "number"        # USD since the start; unknown before the first bill
contract = "category"           # Month-to-month, One year, Two year
payment = "category"            # Electronic check, Mailed check, Bank transfer (automatic), Credit card (automatic)
paperless = "boolean"
internet = "category"           # DSL, Fiber optic, No
owned = "set"                   # products the customer has

# ---------------------------------------------------------------- more of what they have
[groups.upsell]
title = "More of what they have"

[[actions]]
id = "fiber_upgrade"
kind = "offer"
group = "upsell"
title = "From DSL to fiber"
value = 180.0
cost = 0.4
channels = ["web"]
owned_as = "fiber"
applicability = 'customer.internet == "DSL"'

[[actions]]
id = "second_line"
kind = "offer"
group = "upsell"
title = "A second phone line"
value = 60.0
cost = 0.2
channels = ["web"]
owned_as = "multiple_lines"
applicability = '"phone" in customer.owned'

[[actions]]
id = "new_handset"
kind = "offer"
group = "upsell"
title = "A new phone in monthly instalments"
value = 140.0
cost = 0.4
channels = ["web"]
eligibility = 'customer.tenure_months >= 3.0'      # instalments need a payment history
applicability = '"phone" in customer.owned'

# ---------------------------------------------------------------- what goes with their internet access
[groups.cross_sell]
title = "Goes with their internet access"
applicability = 'customer.internet != "No"'

[[actions]]
id = "online_security"
kind = "offer"
group = "cross_sell"
title = "Security package"
value = 48.0
cost = 0.1
channels = ["web"]
owned_as = "online_security"

[[actions]]
id = "online_backup"
kind = "offer"
group = "cross_sell"
title = "Online backup"
value = 48.0
cost = 0.1
channels = ["web"]
owned_as = "online_backup"

[[actions]]
id = "device_protection"
kind = "offer"
group = "cross_sell"
title = "Device insurance"
value = 60.0
cost = 0.1
channels = ["web"]
owned_as = "device_protection"

[[actions]]
id = "streaming_tv"
kind = "offer"
group = "cross_sell"
title = "Television package"
value = 96.0
cost = 0.1
channels = ["web"]
owned_as = "streaming_tv"

[[actions]]
id = "streaming_movies"
kind = "offer"
group = "cross_sell"
title = "Movie package"
value = 96.0
cost = 0.1
channels = ["web"]
owned_as = "streaming_movies"

# ---------------------------------------------------------------- reasons to stay
[groups.retain]
title = "Reasons to stay"

[[actions]]
id = "yearly_contract"
kind = "retention"
group = "retain"
title = "One year at a lower price"
value = 120.0
cost = 0.2
channels = ["web"]
eligibility = 'customer.tenure_months >= 2.0'
applicability = 'customer.contract == "Month-to-month"'

[[actions]]
id = "loyalty_discount"
kind = "retention"
group = "retain"
title = "Loyalty discount for six months"
value = 90.0
cost = 0.2
channels = ["web"]
eligibility = 'customer.tenure_months >= 12.0'
suitability = 'customer.monthly_charges >= 35.0'   # smaller bills gain too little to matter

[[actions]]
id = "family_bundle"
kind = "retention"
group = "retain"
title = "One bundle for the household"
value = 110.0
cost = 0.2
channels = ["web"]
applicability = '"phone" in customer.owned || customer.internet != "No"'

# ---------------------------------------------------------------- looking after them
[groups.serve]
title = "Looking after them"

[[actions]]
id = "support_plan"
kind = "service"
group = "serve"
title = "Technical support plan"
value = 48.0
cost = 0.1
channels = ["web"]
owned_as = "tech_support"
applicability = 'customer.internet != "No"'

[[actions]]
id = "automatic_payment"
kind = "service"
group = "serve"
title = "Switch to automatic payment"
value = 15.0
channels = ["web"]
applicability = 'customer.payment in ["Electronic check", "Mailed check"]'

[[actions]]
id = "tariff_check"
kind = "service"
group = "serve"
title = "Does the tariff still fit?"
value = 25.0
cost = 0.5
channels = ["web"]

[[actions]]
id = "travel_pack"
kind = "information"
group = "serve"
title = "Using the phone abroad"
value = 20.0
channels = ["web"]
suitability = '"phone" in customer.owned'
"""
