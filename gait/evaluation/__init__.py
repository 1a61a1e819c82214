"""Identification: signatures of sequences, distances between them, and the nearest ones in the gallery."""
