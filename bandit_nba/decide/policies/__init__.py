"""What may act: the learned policy and the baselines that it is held against, one file each."""
