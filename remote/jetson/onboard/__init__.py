"""The program for a Jetson: facts and state of the board, its power mode and clocks, and a command under observation.

It needs Python 3.6 and nothing else, and comes to the board as one file (remote/jetson/program.py makes it). It reads texts
and takes samples; the computer that asks interprets them.
"""
