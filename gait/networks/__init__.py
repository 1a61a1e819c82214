"""What the models share: their building blocks, and a network of each framework around them."""
