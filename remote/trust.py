"""Make a device's host key known: show it, let a person compare it, then keep it in the user's own known_hosts."""

from __future__ import annotations

import sys
from collections.abc import Callable

from remote.errors import DeviceError
from remote.inventory import Device
from remote.transport import known_hosts
from remote.transport.known_hosts import HostKey
from remote.transport.ssh_config import Address, Endpoint, resolve


def trust(device: Device, accept: Callable[[str], bool]) -> None:
    """Show the host keys on the way to a device, its own last, and keep the new keys that are accepted.

    Args:
        device: an entry of devices.yaml.
        accept: a function that gets a sentence about a new key, and returns whether to keep it.

    Raises:
        DeviceError: the device cannot be reached, a key has changed, or a key was not accepted.
    """
    from remote.transport import login

    if device.transport == "local":
        raise DeviceError(f"{device.name} is this computer: there is no host key to trust")

    def judge(endpoint: Endpoint, name: str, key: HostKey) -> None:
        entries = known_hosts.read(endpoint.known_hosts)
        if known_hosts.known(entries, name) or any(entry.marker and entry.key == key for entry in entries):
            known_hosts.check(entries, name, key, f"python -m remote trust {device.name}")
            print(f"{name}: {key.kind} {key.fingerprint}: known already")
            return
        path = endpoint.new_hosts
        if path is None or (path.exists() and not path.is_file()):  # such as /dev/null
            raise DeviceError(
                f"{name}: UserKnownHostsFile of the SSH configuration is {path or 'none'}, which keeps no key: "
                "name a file for this host in ~/.ssh/config"
            )
        if not accept(f"{name} shows the host key {key.kind} {key.fingerprint}"):
            raise DeviceError(f"{name}: its key was not accepted; nothing was changed")
        try:
            known_hosts.pin(path, name, key)
        except OSError as error:
            raise DeviceError(f"{path}: the key cannot be added: {error.strerror}") from None
        print(f"{name}: {key.kind} {key.fingerprint}: added to {path}")

    endpoint = resolve(Address.parse(device.transport))
    jumps = login.connect(endpoint.jumps, judge)
    try:
        login.shake_hands(endpoint, jumps[-1] if jumps else None, judge).close()
    finally:
        login.close(jumps)


def ask(sentence: str) -> bool:
    """Ask on the terminal whether a key is right.

    Raises:
        DeviceError: there is nobody to ask.
    """
    if not sys.stdin.isatty():
        raise DeviceError(
            f"{sentence}; compare it with the device's own and accept it by --yes, for there is no terminal to ask on"
        )
    print(f"{sentence}\nThe device itself tells it by: ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub (or _ecdsa_, _rsa_)")
    return input("Is it the same (yes/no)? ").strip().lower() in ("yes", "y")
