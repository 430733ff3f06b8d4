"""Customers on their whole journey, vectorised: what is simulated, one idea per file, and the exact truth about it."""

from simulators.journey.settings import JourneySettings
from simulators.journey.state import State
from simulators.journey.world import JourneyWorld

__all__ = ["JourneySettings", "JourneyWorld", "State"]
