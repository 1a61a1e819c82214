"""Networks with fresh weights, built on a device and timed there by turns, for `scout` and for pruning to a time."""
