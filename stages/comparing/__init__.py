"""The variants in MLflow's interface: what its pages show, and where it runs."""
