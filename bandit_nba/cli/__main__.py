"""`python -m bandit_nba.cli`, for where the script `nba` is not on the path."""

from bandit_nba.cli import main

if __name__ == "__main__":  # a process that `nba search` starts imports this file, too
    main()
