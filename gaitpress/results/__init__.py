"""What the page, MLflow and the commands share: the variants with their records, their words and their colours."""
