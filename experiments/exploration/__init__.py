"""Ways to explore around one learner."""
