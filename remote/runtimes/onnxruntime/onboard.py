"""ONNX Runtime on a device, for remote/python/agent.py: Python 3.8, numpy and onnxruntime."""

import onnxruntime


def version():
    return onnxruntime.__version__


def build(onnx, engine, threads, options):
    """Optimise a network for this processor, memory layout included, and save it."""
    session = _session_options(threads)
    session.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    session.optimized_model_filepath = str(engine)
    onnxruntime.InferenceSession(str(onnx), session, providers=["CPUExecutionProvider"])


def load(engine, threads, options):
    """An engine as it was built: the graph is already optimised for this processor and is not touched again."""
    how = _session_options(threads)
    how.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(str(engine), how, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda values: session.run(None, {name: values})[0]


def _session_options(threads):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = threads
    options.log_severity_level = 3
    return options
