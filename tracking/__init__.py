"""Variants as runs in MLflow."""
