"""From raw frames to training-ready sequences: readers, the synthetic walkers, modalities, stores, partitions."""
