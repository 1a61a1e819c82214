"""The check whether a device has the packages that OpenVINO needs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from remote.findings import Finding
from remote.inventory import Device
from remote.python.check import packages
from remote.runtimes.openvino.runtime import PACKAGE
from remote.transport import Transport


def check(link: Transport, device: Device, seen: Mapping[str, str]) -> Iterator[Finding]:
    """See remote/check.py."""
    yield packages(link, device, PACKAGE)
