"""trtexec, TensorRT's own program: its command lines, its logs and its files, version by version."""
