"""Model compression for PyTorch and Keras: pruning, ONNX export, quantisation. Knows no gait and no device."""
