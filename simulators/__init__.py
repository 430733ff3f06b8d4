"""Worlds of customers whose true responses are known, so that learners and estimators can be held against truth."""

from simulators.registry import listed, make, register, worlds
from simulators.world import Customers, Journey, JourneyState, Outcome, World

__all__ = ["Customers", "Journey", "JourneyState", "Outcome", "World", "listed", "make", "register", "worlds"]
