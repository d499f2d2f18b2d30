#!/usr/bin/env python3
"""Peers that mean no good, each a process of its own so that it gets a processor's full rate.

    strangers.py noise HOST PORT SECONDS      random bytes, which are not even ZeroMQ's protocol
    strangers.py garbage HOST PORT SECONDS    joins as a PUSH socket does, then floods well-formed messages of garbage
    strangers.py chatter HOST PORT SECONDS    the same as a DEALER, for the control socket
    strangers.py sink HOST PORT SECONDS       what garbage is sent to in the comparison: reads it, and does nothing else

ZMTP 3.0 (rfc.zeromq.org/spec/23): a greeting of 64 bytes, a READY command, then frames."""
import random
import socket
import sys
import threading
import time

GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x00" + b"NULL".ljust(20, b"\0") + bytes(32)


def frame(body, more=False, command=False):
    flags = (1 if more else 0) | (4 if command else 0)
    if len(body) < 256:
        return bytes([flags, len(body)]) + body
    return bytes([flags | 2]) + len(body).to_bytes(8, "big") + body


def ready(kind):
    def text(word, size):
        return len(word).to_bytes(size, "big") + word

    return frame(text(b"READY", 1) + text(b"Socket-Type", 1) + text(kind, 4), command=True)


def garbage(random_):
    """A megabyte of messages: headers that are none, payloads of the right and of wrong sizes."""
    messages = b""
    while len(messages) < 1 << 20:
        messages += frame(random_.randbytes(random_.randrange(1, 200)), more=True)
        messages += frame(random_.randbytes(random_.choice([0, 1, 64 * 784, 5000])), more=True)
        messages += frame(random_.randbytes(192))
    return messages


def flood(port, host, until, opening, piece):
    while time.monotonic() < until:
        try:
            with socket.create_connection((host, port), timeout=1) as connection:
                connection.sendall(opening)
                while time.monotonic() < until:
                    connection.sendall(piece)
        except OSError:
            time.sleep(0.01)


def drain(host, port, until):
    """Takes in all that comes."""

    def read(connection):
        space = bytearray(1 << 20)
        try:
            connection.sendall(GREETING + ready(b"PULL"))
            while connection.recv_into(space):
                pass
        except OSError:
            pass

    with socket.create_server((host, port)) as listener:
        listener.settimeout(0.2)
        while time.monotonic() < until:
            try:
                connection, _ = listener.accept()
            except OSError:
                continue
            connection.settimeout(None)
            threading.Thread(target=read, args=(connection,), daemon=True).start()


def main():
    kind, host, port, seconds = sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
    until, random_ = time.monotonic() + seconds, random.Random(port)
    if kind == "noise":
        flood(port, host, until, b"", random_.randbytes(65536))
    elif kind == "garbage":
        flood(port, host, until, GREETING + ready(b"PUSH"), garbage(random_))
    elif kind == "chatter":
        flood(port, host, until, GREETING + ready(b"DEALER"), garbage(random_))
    elif kind == "sink":
        drain(host, port, until)
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
