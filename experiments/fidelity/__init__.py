"""Does a simulated log look like a given real one?"""
