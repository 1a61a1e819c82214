"""Networks with fresh weights, built and timed on a device by turns: for `scout`, and for pruning to a time."""
