"""Gait recognition: data, models, losses, training, evaluation. Knows nothing of compression or devices."""
