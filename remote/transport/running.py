"""Run a started command to its end, for every kind of process."""

from __future__ import annotations

import contextlib
import io
import threading
from collections.abc import Callable
from typing import IO

from remote.errors import TimedOut
from remote.transport import Finished, Process

CHUNK = 1 << 16


class Collector:
    """Reads a stream to its end in its own thread, so that a full pipe never stops the command."""

    def __init__(self, stream: IO[bytes]):
        self.stream = stream
        self._collected = io.BytesIO()
        self._lock = threading.Lock()
        self._lines: Lines | None = None
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def pass_on(self, lines: Lines) -> None:
        """Pass each line to ``lines``, earlier ones too."""
        with self._lock:
            self._lines = lines
            lines.feed(self._collected.getvalue())

    def result(self) -> bytes:
        """Wait for the end of the stream and return all bytes of it."""
        self._thread.join()
        if self._lines:
            self._lines.end()
        return self._collected.getvalue()

    def _read(self) -> None:
        # Only the end of the command closes the stream during a read.
        with contextlib.suppress(OSError, ValueError):
            while chunk := self.stream.read1(CHUNK):  # type: ignore[attr-defined]
                with self._lock:
                    self._collected.write(chunk)
                    if self._lines:
                        self._lines.feed(chunk)


class Lines:
    """Cuts a stream into lines."""

    def __init__(self, on_line: Callable[[str], None]):
        self._on_line = on_line
        self._rest = b""

    def feed(self, chunk: bytes) -> None:
        """Take some bytes and pass on the lines that end in them."""
        *whole, self._rest = (self._rest + chunk).split(b"\n")
        for line in whole:
            self._on_line(line.decode(errors="replace").rstrip("\r"))

    def end(self) -> None:
        """Pass on a last line without a line end."""
        if self._rest:
            self.feed(b"\n")


def finish(
    process: Process,
    errors: Collector,
    stdin: bytes | None,
    timeout_s: float | None,
    on_line: Callable[[str], None] | None,
    what: str,
) -> Finished:
    """Feed a command, read both its streams and wait for its end.

    Args:
        process: the started command.
        errors: collects its standard error.
        stdin: its whole standard input.
        timeout_s: its longest time, in seconds.
        on_line: gets each line of both streams, one at a time.
        what: the command in words, for messages.

    Raises:
        TimedOut: the command took longer, and was ended.
    """
    if on_line:
        one_at_a_time = threading.Lock()
        on_any_line = on_line

        def on_line(line: str) -> None:
            with one_at_a_time:
                on_any_line(line)

        errors.pass_on(Lines(on_line))
    output = Collector(process.stdout)
    if on_line:
        output.pass_on(Lines(on_line))
    timed_out = threading.Event()

    def end() -> None:
        timed_out.set()
        process.kill()

    timer = threading.Timer(timeout_s, end) if timeout_s is not None else None
    feeder = threading.Thread(target=_feed, args=(process.stdin, stdin or b""), daemon=True)
    try:
        feeder.start()
        if timer:
            timer.start()
        stdout = output.result()
        finished = process.wait()
    finally:
        if timer:
            timer.cancel()
        process.kill()
    if timed_out.is_set():
        raise TimedOut(f"{what} took longer than {timeout_s:g} s; it was ended")
    return Finished(finished.code, stdout, finished.stderr)


def _feed(sink: IO[bytes], data: bytes) -> None:
    # A command may end without reading its input.
    with contextlib.suppress(OSError, ValueError):
        sink.write(data)
    with contextlib.suppress(OSError, ValueError):
        sink.close()
