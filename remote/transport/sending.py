"""Send a command's input in the order that the protocol asks for: never after the close of its channel.

Paramiko's own ``sendall`` and ``shutdown_write`` write a message under the channel's lock and send it without, since the
sender waits while keys are exchanged, and the thread that exchanges them may wait for the lock. So where a command ends
before it has read its input, the message may come after the close, and OpenSSH then ends the whole connection with all its
commands (https://github.com/paramiko/paramiko/issues/1115). Here each message is sent under the lock, which nobody holds
while waiting.

The private names of Paramiko that this needs are those of version 5.
"""

from __future__ import annotations

import paramiko
from paramiko.common import cMSG_CHANNEL_DATA, cMSG_CHANNEL_EOF

WAIT_S = 0.1  # how often a dead connection is looked for while keys are exchanged


def send(channel: paramiko.Channel, data: bytes) -> None:
    """Send a part of the input; wait until the command takes it.

    Raises:
        OSError: the command, or the connection, has ended.
        EOFError: the connection has ended.
    """
    rest = memoryview(data)
    while rest:
        with channel.lock:
            size = channel._wait_for_send_window(len(rest))
            if not size:
                raise BrokenPipeError("the command reads no more input")
            if _sent(channel, cMSG_CHANNEL_DATA, bytes(rest[:size])):
                rest = rest[size:]
                continue
            channel.out_window_size += size
        _wait(channel)


def end(channel: paramiko.Channel) -> None:
    """Send the end of the input, unless that was sent or the command has ended.

    Raises:
        OSError, EOFError: the connection has ended.
    """
    while True:
        with channel.lock:
            if channel.closed or channel.eof_sent or _sent(channel, cMSG_CHANNEL_EOF):
                channel.eof_sent = True
                return
        _wait(channel)


def _sent(channel: paramiko.Channel, kind: bytes, *strings: bytes) -> bool:
    """Send a message, if no keys are being exchanged; the caller holds the channel's lock."""
    message = paramiko.Message()
    message.add_byte(kind)
    message.add_int(channel.remote_chanid)
    for string in strings:
        message.add_string(string)
    transport = channel.get_transport()
    with transport.clear_to_send_lock:
        if not transport.clear_to_send.is_set():
            return False
        transport._send_message(message)
        return True


def _wait(channel: paramiko.Channel) -> None:
    """Wait, without any lock, until keys have been exchanged."""
    transport = channel.get_transport()
    while not transport.clear_to_send.wait(WAIT_S):
        if not transport.is_active():
            raise BrokenPipeError("the connection has ended")
