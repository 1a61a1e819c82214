"""What is asked of DVC: the stages of dvc.yaml, which of them are out of date, and to bring them up to date."""
