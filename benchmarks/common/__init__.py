"""Code that several benchmarks share; it is no benchmark itself."""
