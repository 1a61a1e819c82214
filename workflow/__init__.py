"""The DAG of dvc.yaml for Snakemake, and checks of its declarations."""
