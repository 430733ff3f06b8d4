"""Customers who are decided for again and again: journey worlds, played by policies that know or learn."""
