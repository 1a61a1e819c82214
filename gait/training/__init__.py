"""Training: one loop for each framework, and what the loops share."""
