"""The options of watch.py."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add all options but that of the bundle's folder."""
    parser.add_argument("--source", help="a camera's number, an address such as rtsp://..., or a video file")
    parser.add_argument(
        "--gallery", type=Path, default=Path("gallery.json"), help="of enrolled people (default: gallery.json)"
    )
    parser.add_argument(
        "--far", type=float, help="how many strangers may be named, in %% (default: the known rate nearest 1)"
    )
    parser.add_argument(
        "--masks", type=Path, help="JSON that describes a detector and a segmenter (default: background subtraction)"
    )
    parser.add_argument("--live", action="store_true", help="play a file at its own rate, as a camera would")
    parser.add_argument("--engine", action="store_true", help="run the engine, on the device that it was built for")
    parser.add_argument("--threads", type=_count, default=1, help="of the network on a processor (default: 1)")
    parser.add_argument("--out", type=Path, help="a video to write, .mp4 or .avi, with the names drawn")
    parser.add_argument("--headless", action="store_true", help="show no window")
    parser.add_argument(
        "--figures", type=Path, help="a JSON file to write: latency, frames a second, the share of each part"
    )
    people = parser.add_mutually_exclusive_group()
    people.add_argument("--enrol", metavar="NAME", help="enrol the person who walks by, alone")
    people.add_argument("--list", action="store_true", help="tell who is enrolled")
    people.add_argument("--forget", metavar="NAME", help="delete a person from the gallery")
    people.add_argument(
        "--export", nargs=2, metavar=("NAME", "FILE"), help="write a person's signatures into a gallery of its own"
    )
    people.add_argument("--import", dest="taken", type=Path, metavar="FILE", help="take over the people of another gallery")


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text}: must be a whole number above 0")
    return int(text)
