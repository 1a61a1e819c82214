"""The DAG of dvc.yaml: what Snakemake needs of it, the questions to DVC, and checks of its declarations."""
