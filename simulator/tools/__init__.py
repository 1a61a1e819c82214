"""The tools of a simulated board, a program each."""
