"""Worlds of customers whose true responses are known, so that learners and estimators can be held against truth."""

from simulators.registry import make, worlds
from simulators.world import Customers, World

__all__ = ["Customers", "World", "make", "worlds"]
