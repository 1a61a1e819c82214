"""How the time of a network falls with the pruning percentile on a device, measured with fresh weights."""
