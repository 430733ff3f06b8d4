"""Off-policy evaluation against published figures: handwritten digits as a bandit, and the Open Bandit Dataset."""
