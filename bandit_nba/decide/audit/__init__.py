"""Logged decisions made again from what the log names, and compared with what it says."""
