"""The commands beside the DAG, a module each: ``python -m gaitpress <name>`` calls its ``main``."""
