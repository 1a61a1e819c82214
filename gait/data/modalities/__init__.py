"""Modalities, a module each: aligned silhouettes and optical flow, made from a person's frames."""
