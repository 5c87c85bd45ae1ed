"""Training: one plain loop for every network."""
