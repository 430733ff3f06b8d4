"""Do intervals from a log hold what they promise?"""
