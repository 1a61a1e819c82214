"""Speed and quality against peers and limits: ``python -m benchmarks.<name> --json`` prints one JSON object last."""
