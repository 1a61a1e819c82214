"""Prepared data: the store of a modality's sequences, the sets that train and are tested, and a network's inputs."""
