"""Prepared data: the stores of sequences, a store a modality, the training and test sets, and a network's inputs."""
