"""Benchmarks: each measures the product beside a peer in the same run and prints the ratio."""
