"""What several benchmarks share: it measures nothing by itself."""
