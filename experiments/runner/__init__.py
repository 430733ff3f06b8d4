"""Experiments as data: sweeps, a runner that survives being killed, tables and plots."""
