"""Actions that come later, with and without a prior."""
