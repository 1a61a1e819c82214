"""A simulated Jetson: the files and tools of a board in a folder, on request behind a real SSH server.

Its trtexec runs networks with ONNX Runtime on this computer's processor, so outputs and times are real, but they are not a
board's; it holds nothing of TensorRT itself. All records of it say ``evidence: simulated``.
"""
