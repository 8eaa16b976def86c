"""What the numbers of links and listeners mean: the batch with which each segment of the journal begins."""
