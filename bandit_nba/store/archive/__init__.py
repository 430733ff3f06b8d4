"""Closed days of the decision log as Parquet files, and how rows that went there are read again.

What leaves the store is what makes a row large: the eligible set, the distributions, and the facts. A small row stays
behind for good, with the id, the payload's hash and the answer, so that an id asked again gets the same bytes; with
customer, arm and time, which contact rules ask for; and with the marks of learning. Outcomes stay, too: late ones go on
counting, and each id stays known.
"""
