"""Logs out of the house and in again: export for other tools, import from elsewhere."""
