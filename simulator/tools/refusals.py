"""The lines that trtexec prints when TensorRT's parser refuses a network: the cause is in the middle of many."""

from __future__ import annotations

from collections.abc import Iterator

AFTERWARDS = ("Failed to parse onnx file", "Parsing model failed", "Failed to create engine from model or file.")


def lines(message: str, version: tuple[int, int, int]) -> Iterator[str]:
    """Yield the errors that a version of trtexec prints for a message, each with all its lines.

    Errors of the parser name their source, ModelImporter.cpp: first come its place and the node, then the cause. All other
    errors are printed as they are.
    """
    if "ModelImporter.cpp" not in message:
        yield message
        return
    cause = message.partition("ModelImporter.cpp:")[2].partition(": ")[2]
    if version < (8, 0):  # without times and levels
        yield f"ERROR: ModelImporter.cpp:92 In function parseGraph:\n[8] {cause}"
        yield from AFTERWARDS[:2]
        yield "Engine creation failed"
        yield "Engine set up failed"
        return
    yield '[TRT] ModelImporter.cpp:771: While parsing node number 0 [Node -> "y"]:'
    yield "[TRT] ModelImporter.cpp:772: --- Begin node ---"
    yield '[TRT] ModelImporter.cpp:773: input: "x"\noutput: "y"\nname: "node_0"\nop_type: "Node"\n'
    yield "[TRT] ModelImporter.cpp:774: --- End node ---"
    verdict = "[TRT] ModelImporter.cpp:777: ERROR: ModelImporter.cpp:195 In function parseNode:"
    yield f"{verdict}\n[6] Invalid Node - node_0\n{cause}"
    yield from AFTERWARDS
    yield "Engine set up failed"
