"""What can be decided: declared facts, actions with their treatments, and the rules that guard them."""

from bandit_nba.catalogue.action import Action, Arm, Catalogue, Group, Rules, Treatment
from bandit_nba.catalogue.contact_rules import ContactRule
from bandit_nba.catalogue.facts import FactKind, FactSchema

__all__ = ["Action", "Arm", "Catalogue", "ContactRule", "FactKind", "FactSchema", "Group", "Rules", "Treatment"]
