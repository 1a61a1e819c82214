"""Whether a device's Python has what a runtime needs."""

from __future__ import annotations

from remote.errors import DeviceError
from remote.findings import Finding
from remote.inventory import Device
from remote.python import interpreter
from remote.python.imports import try_out
from remote.python.runtime import Package
from remote.transport import Transport


def packages(link: Transport, device: Device, package: Package) -> Finding:
    """Whether the packages are there, without installing them."""
    needs, folder = package.needs, package.environment
    try:
        if "python" in device.options or device.transport == "local":
            python = interpreter.interpreter(link, device.options, needs, folder)
            try_out(link, python, needs)
            return Finding(package.runtime, "ok", f"by {python}")
        if interpreter.is_there(link, needs, folder):
            try_out(link, f"{interpreter.environment(link, folder)}/bin/python", needs)
            return Finding(package.runtime, "ok", f"in {interpreter.environment(link, folder)}")
        about = interpreter.suitable(link, needs)
        version = ".".join(map(str, about["version"]))
        return Finding(package.runtime, "ok", f"not yet; the first probe installs it for {about['name']} ({version})")
    except DeviceError as error:
        return Finding(package.runtime, "fault", str(error))
