"""What the learner reads from the log and commits to it; quarantine; bulk retraining."""
