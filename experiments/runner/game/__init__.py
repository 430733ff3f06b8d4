"""A world as a sequence of rounds, and those who play it: the product and its peers."""
