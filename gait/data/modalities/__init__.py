"""What is made of a person's frames, a module a modality: aligned silhouettes, optical flow."""
