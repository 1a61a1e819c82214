"""Find out which TensorRT a board has."""

import glob
import os

from remote.jetson.onboard import state
from remote.jetson.onboard.tools import at, output

TRTEXEC = ["usr/src/tensorrt/bin/trtexec", "usr/local/tensorrt/bin/trtexec", "opt/tensorrt/bin/trtexec", "usr/bin/trtexec"]
LIBNVINFER = "usr/lib/*/libnvinfer.so.*.*.*"


def facts(request):
    """The texts with the board's facts, the banner of its trtexec and its libraries; ``trtexec`` is that program's path."""
    paths = [request["trtexec"]] if request.get("trtexec") else [at(path) for path in TRTEXEC]
    trtexec = next((path for path in paths if os.access(path, os.X_OK)), None)
    code, banner = output([trtexec, "--help"]) if trtexec else (0, "")
    return dict(
        state.facts(),
        looked_for=paths,
        trtexec=trtexec,
        trtexec_code=code,
        trtexec_says=banner[:2000],
        libraries=[os.path.basename(path) for path in sorted(glob.glob(at(LIBNVINFER)))],
    )
