"""The errors of devices."""

import signal


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


def ended_by(program: str, number: int) -> str:
    """The message about a program that a signal ended."""
    if number == signal.SIGKILL:
        return killed(program)
    name = signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"
    if number == signal.SIGILL:
        return f"{program} stopped at an instruction that the processor does not have ({name}); see `python -m remote check`"
    if number == signal.SIGBUS:
        return f"{program} crashed ({name}), as where a file that it reads is cut off, or a disk is full or faulty"
    return f"{program} crashed ({name})"


def killed(program: str) -> str:
    """The message about a program that got a SIGKILL, and not from this pipeline."""
    return f"{program} was killed (signal 9), most likely because memory ran out"
