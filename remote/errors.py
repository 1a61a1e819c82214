"""What can go wrong with devices."""


class DeviceError(RuntimeError):
    """A device cannot do what was asked; the message names it and says what to do."""


class EngineFailed(DeviceError):
    """The runtime refused the network, or it broke while it ran: that is a result with its reason."""


class StaleEngine(DeviceError):
    """An engine is not the one that this device's runtime would build now; it has to be built again."""


class HostKeyRefused(DeviceError):
    """A device's host key is not known, has changed or is revoked."""


class LinkLost(DeviceError):
    """The connection to a device broke, or could not be made again; trying later may help."""


class Unreachable(LinkLost):
    """A device has been tried again and again."""


class TimedOut(DeviceError):
    """A command took longer on the device than it may; it has been ended."""


def killed(what: str) -> str:
    """What SIGKILL tells that nobody of ours sent."""
    return f"{what} was killed (signal 9), most likely because memory ran out"
