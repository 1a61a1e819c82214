"""The errors of devices."""


class DeviceError(RuntimeError):
    """A device cannot do its job; the message names the device and says what to do."""


class EngineFailed(DeviceError):
    """The runtime refused the network, or the network broke while it ran: a result with its reason."""


class StaleEngine(DeviceError):
    """An engine differs from the one that this device's runtime would build now; it must be built again."""


class HostKeyRefused(DeviceError):
    """A device's host key is not known, has changed or is revoked."""


class LoginRefused(DeviceError):
    """A server answers and does not let the user in."""


class LinkLost(DeviceError):
    """The connection to a device broke, or could not be made again; trying later may help."""


class Unreachable(LinkLost):
    """A device did not answer, though it was tried again and again."""


class TimedOut(DeviceError):
    """A command took longer on the device than it may, and was ended."""


def killed(program: str) -> str:
    """The message about a program that got a SIGKILL, and not from this pipeline."""
    return f"{program} was killed (signal 9), most likely because memory ran out"
