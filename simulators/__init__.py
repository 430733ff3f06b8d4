"""Worlds of customers whose true responses are known, so that learners and estimators can be held against truth."""
