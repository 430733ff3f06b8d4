"""Does a reward that looks ahead earn more customer value than one that does not?"""
