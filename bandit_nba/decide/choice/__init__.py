"""From what an arm is worth to the one that is chosen: priorities, exploration, mixtures, the draw, the safe policy."""
