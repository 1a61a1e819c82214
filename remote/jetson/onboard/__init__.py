"""What runs on a Jetson: what the board is, its state, its power mode and clocks, and a command under observation.

It needs Python 3.6 and nothing else, and comes to the board as one file (remote/jetson/program.py makes it). It reads texts
and takes samples; what they mean is told by the computer that asked.
"""
