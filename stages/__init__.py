"""The steps of the DAG: one thin module a stage, run as ``python -m stages.<name>``.

A stage reads its inputs, calls a library (``gait``, ``compress`` or ``remote``) and writes its outputs whole or not at
all.
"""
