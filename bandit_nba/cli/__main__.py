"""`python -m bandit_nba.cli`, for where the script `nba` is not on the path."""

from bandit_nba.cli import main

main()
