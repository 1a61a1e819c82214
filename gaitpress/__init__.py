"""What stages and commands share; ``python -m gaitpress`` runs the commands."""
