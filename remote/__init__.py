"""Devices: what they are, engines built for them, and latencies, energy and outputs measured on them."""
