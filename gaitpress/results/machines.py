"""Devices that are one machine, such as a computer with two runtimes, and with what each network is fastest there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gaitpress.results.figures import TIME
from gaitpress.results.ordering import order
from gaitpress.results.records import Row, by_device


@dataclass(frozen=True)
class Network:
    """A model at a percentile on one machine.

    Attributes:
        name: such as "gaitset p30".
        best: by device, the fastest eligible variant there; None if there is none.
        fastest: the fastest of these; None if there is none.
        ahead: how many times as fast as the best variant of the next device; None if no other device has one.
    """

    name: str
    best: Mapping[str, Row | None]
    fastest: Row | None
    ahead: float | None


@dataclass(frozen=True)
class Machine:
    """A machine with several devices.

    Attributes:
        name: its board, or its processor and cores.
        runtimes: by device, what runs networks, such as "openvino 2026.4.1".
        networks: its networks, in the order of params.yaml.
    """

    name: str
    runtimes: Mapping[str, str]
    networks: Sequence[Network]


def described(facts: Mapping[str, Any]) -> str:
    """The name of the machine with these facts of a device: its board, or its processor and cores."""
    cores = facts.get("cores")
    return facts.get("board") or f"{facts.get('cpu')}, {cores} core{'s' * (cores != 1)}"


def same_machine(rows: Sequence[Row], device: str) -> list[Row]:
    """The rows of all devices that are the machine of ``device``, itself included, or another of the same kind."""
    keys = _keys(rows)
    return [row for row in rows if row.device == device or (keys[row.device] and keys[row.device] == keys[device])]


def machines(rows: Sequence[Row]) -> list[Machine]:
    """The machines with more than one device, and their networks side by side."""
    rows = [row for row in rows if not row.same_as]
    keys = _keys(rows)
    groups: dict[tuple[Any, ...], list[str]] = {}
    for device, key in keys.items():
        if key:
            groups.setdefault(key, []).append(device)
    return [
        _machine(devices, [row for row in rows if row.device in devices]) for devices in groups.values() if len(devices) > 1
    ]


def _keys(rows: Sequence[Row]) -> dict[str, tuple[Any, ...] | None]:
    """By device, what tells its machine from others; None where no record says.

    A simulated board and a real one are two machines, and so are two boards of different kinds; two of one kind are alike.
    """
    return {device: _key(_facts(listed)) for device, listed in by_device(rows).items()}


def _key(facts: Mapping[str, Any] | None) -> tuple[Any, ...] | None:
    if facts is None:
        return None
    # What a board's GPU runs says nothing of its processor, so its name must do.
    processor = None if facts.get("board") else facts.get("cpu_id")
    return described(facts), processor, bool(facts.get("simulated"))


def _facts(rows: Sequence[Row]) -> Mapping[str, Any] | None:
    return next((row.get("device") for row in rows if row.get("device")), None)


def _machine(devices: Sequence[str], rows: Sequence[Row]) -> Machine:
    facts = {device: _facts([row for row in rows if row.device == device]) or {} for device in devices}
    networks: dict[tuple[str, int | float], list[Row]] = {}
    for row in rows:
        networks.setdefault((row.model, row.percentile), []).append(row)
    return Machine(
        described(facts[devices[0]]),
        {device: f"{known.get('runtime')} {known.get('runtime_version')}" for device, known in facts.items()},
        [_network(f"{model} p{percentile}", devices, own) for (model, percentile), own in networks.items()],
    )


def _network(name: str, devices: Sequence[str], rows: Sequence[Row]) -> Network:
    usable = [row for row in rows if row.eligible and row.plotted]
    best = {
        device: min((row for row in usable if row.device == device), key=lambda row: order(row, True), default=None)
        for device in devices
    }
    ranked = sorted((row for row in best.values() if row), key=lambda row: order(row, True))
    ahead = TIME.of(ranked[1]) / TIME.of(ranked[0]) if len(ranked) > 1 else None
    return Network(name, best, ranked[0] if ranked else None, ahead)
