"""The program on a board for TensorRT, in one file with remote/jetson/onboard: trtexec, engines, and their outputs.

It needs Python 3.6 and nothing else.
"""
