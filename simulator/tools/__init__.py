"""The tools of a simulated board, each a program."""
