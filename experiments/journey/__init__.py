"""What policies earn over whole customer journeys, and what they do at each stage of the life cycle."""
