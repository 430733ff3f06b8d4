"""Better policies: found by search, let through by a gate, installed, watched, and rolled back."""
