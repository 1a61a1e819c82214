"""What Snakemake needs to run the DAG of dvc.yaml."""
