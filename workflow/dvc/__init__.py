"""Work with DVC: read the stages of dvc.yaml, ask which are out of date, and bring them up to date."""
