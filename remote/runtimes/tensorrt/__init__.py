"""TensorRT on a Jetson: engines are built and measured there by its own trtexec."""

from remote.runtimes.room import Reads, Room

ROOM = Room(
    title="TensorRT",
    files=lambda facts: ("tensorrt.onnx",),
    options={
        "power_mode": str,
        "lock_clocks": bool,
        "cuda_graph": bool,
        "trtexec": str,
        "workspace_mib": int,
        "dla_core": int,
        "python": str,
    },
    fixed_axes=True,
    # By JetPack, as NVIDIA's onnx-tensorrt states for each release (docs/operators.md of its branches release/7.2-GA,
    # release/8.0-GA, ...), and for 11.5 https://github.com/NVIDIA/TensorRT/releases/tag/v11.5. 8.0 to 8.3 take IR versions
    # up to 8. An operator set that made an attribute an input (axes of ReduceMax in 18) is beyond the versions that want the
    # attribute.
    reads=Reads(
        (
            ((7, 1), 11, 6),
            ((8, 0), 13, 8),
            ((8, 4), 17, None),
            ((10, 3), 20, None),
            ((10, 13), 24, None),
            ((11, 5), 25, None),
        ),
        unknown=(12, 0),
        build_skips_pairs=True,
    ),
    uses=("remote/jetson", "remote/jetson/onboard"),
)
