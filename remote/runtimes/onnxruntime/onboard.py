"""ONNX Runtime on a device, for remote/python/agent.py: Python 3.8, numpy and onnxruntime."""

import onnxruntime


def version():
    return onnxruntime.__version__


def build(onnx, engine, precision, threads, options):
    """Optimise a network for this processor, memory layout included, and save it."""
    if precision == "bf16":
        return "ONNX Runtime computes in no bf16 on processors"
    session_options = _session_options(threads)
    session_options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    session_options.optimized_model_filepath = str(engine)
    onnxruntime.InferenceSession(str(onnx), session_options, providers=["CPUExecutionProvider"])
    return None


def load(engine, threads, options):
    """Load an engine as it was built: its graph is optimised already, and stays unchanged."""
    session_options = _session_options(threads)
    session_options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(str(engine), session_options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda values: session.run(None, {name: values})[0]


def _session_options(threads):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = threads
    options.log_severity_level = 3
    return options
