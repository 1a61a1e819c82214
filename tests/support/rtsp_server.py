"""An RTSP server of GStreamer on loopback that plays a film in H.264, for a Python with GStreamer's bindings.

python3 rtsp_server.py              # ends with status 0 if all it needs is here
python3 rtsp_server.py PORT FILM    # an .avi of JPEG pictures, from its start for each who asks, at /film
"""

import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402  # versions come first

Gst.init(None)
H264 = "x264enc tune=zerolatency speed-preset=ultrafast key-int-max=25 ! rtph264pay name=pay0 pt=96 config-interval=1"
PARTS = ("filesrc", "avidemux", "jpegdec", "videoconvert", "x264enc", "rtph264pay")

if missing := [part for part in PARTS if Gst.ElementFactory.find(part) is None]:
    sys.exit(f"no {' and no '.join(missing)}")
if len(sys.argv) > 1:
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(sys.argv[1])
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_launch(f"( filesrc location={sys.argv[2]} ! avidemux ! jpegdec ! videoconvert ! {H264} )")
    server.get_mount_points().add_factory("/film", factory)
    server.attach(None)
    GLib.MainLoop().run()
