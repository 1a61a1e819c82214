"""The DAG of dvc.yaml: what Snakemake needs of it, what is asked of DVC, and checks of its declarations."""
