"""What was decided, what came of it, and what it did to the customer's contacts."""
