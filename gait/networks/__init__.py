"""Code that the models share: their building blocks, and networks in each framework."""
