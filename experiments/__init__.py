"""Experiments: each a folder with its configuration as data, its analysis and a README."""
