"""Why a decision came out as it did, in numbers and in words of everyday work."""
