"""Next best action as a contextual bandit: decide, log true propensities, learn, and prove it from the log."""
