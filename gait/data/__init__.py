"""From raw frames to training-ready sequences: readers, the synthetic walkers, alignment, flow, stores, partitions."""
