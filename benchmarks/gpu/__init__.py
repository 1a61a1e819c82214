"""All about training on a GPU in eight minutes: is it right, how fast is it, and how far from what the card can do?"""
