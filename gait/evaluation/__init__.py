"""Who is it? Signatures of sequences, distances between them, and who is nearest to whom."""
