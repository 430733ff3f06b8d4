"""Do the journey estimators cover the truth at short horizons, and refuse the longer ones?"""
