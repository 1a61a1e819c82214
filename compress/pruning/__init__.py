"""Removing whole filters: score them, select by percentile, cut the network, and prove that nothing else changed."""
