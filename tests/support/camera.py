"""A network camera of JPEG pictures on loopback."""

from __future__ import annotations

import http.server
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import cv2
import numpy as np


class Camera(http.server.BaseHTTPRequestHandler):
    """A network camera of JPEG pictures, which does what its server says: breaks off, holds up, changes the size."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        self.server.calls += 1  # type: ignore[attr-defined]
        for wait, frame in self.server.plan(self.server.calls):  # type: ignore[attr-defined]
            time.sleep(wait)
            _, content = cv2.imencode(".jpg", frame)
            try:
                self.wfile.write(b"--frame\r\nContent-Type: image/jpeg\r\n\r\n" + content.tobytes() + b"\r\n")
            except OSError:
                return

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def camera(plan: Callable[[int], Iterable[tuple[float, np.ndarray]]]) -> Iterator[str]:
    """The address of a camera that does what ``plan`` says of each call: seconds to wait before each picture."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Camera)
    server.calls, server.plan = 0, plan  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/picture.mjpg"
    server.shutdown()
    server.server_close()
