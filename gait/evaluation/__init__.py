"""Who is it? Signatures of sequences, distances between them, and the datasets' protocols."""
