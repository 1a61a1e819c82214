"""What stages.bundle ships: the files, the model card and the program that runs on the other side."""
