"""The files that `nba init` writes; each folder is one template."""
