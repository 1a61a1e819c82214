"""Jetson boards: the file that runs on one, and the texts of its tools in words a program can use."""
