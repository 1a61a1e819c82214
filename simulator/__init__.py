"""A simulated Jetson: the files and tools of a board in a folder, behind a real SSH server if asked for.

Its trtexec runs networks with ONNX Runtime on this computer's processor, so outputs and times are real, but they are not a
board's; TensorRT itself is nowhere in it. Whatever is measured there says ``evidence: simulated``.
"""
