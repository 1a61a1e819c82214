"""Runtimes that are packages of a device's Python: our script there, and the Python that runs it."""

# What works on a device, for the rooms of such runtimes.
# Without server.py, which serves people and measures nothing that a stage keeps.
CODE = tuple(f"remote/python/{name}.py" for name in ("__init__", "agent", "conditions", "instructions", "runtime"))
