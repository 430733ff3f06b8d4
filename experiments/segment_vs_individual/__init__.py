"""Does deciding for each customer beat a few segments?"""
