"""A simulated Jetson: the files and tools of a board in a folder, optionally behind a real SSH server.

Its trtexec runs networks with ONNX Runtime on this computer's processor, so outputs and times are real, but not those of a
board. It contains no part of TensorRT. All its records say ``evidence: simulated``.
"""
