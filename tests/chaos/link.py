"""A TCP proxy between workers and what they connect to, which can be told to behave badly.

One Link stands before all sockets that one role connects to, so that a fault can hit loaders alone, say.
It listens on a loopback address of its own, at the very ports that it passes on to 127.0.0.1."""
import random
import socket
import threading
import time


class Link:
    def __init__(self, host, seed):
        self.host, self.random = host, random.Random(seed)
        self.open, self.pairs, self.listeners = True, [], {}
        self.delay = 0.0  # seconds that each piece waits
        self.disorder = 0.0  # most seconds that a connection is slower than others: they overtake each other
        self.flips = self.truncations = 0  # pieces that are still to be damaged
        self.done = 0  # faults that met a piece

    def listen(self, port):
        if port in self.listeners:
            return
        listener = self.listeners[port] = socket.create_server((self.host, port))
        threading.Thread(target=self.accept, args=(listener, port), daemon=True).start()

    def accept(self, listener, port):
        while self.open:
            try:
                near, _ = listener.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(("127.0.0.1", port), timeout=5)
                far.settimeout(None)
            except OSError:
                near.close()
                continue
            for end in (near, far):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                for side in (socket.SO_SNDBUF, socket.SO_RCVBUF):
                    end.setsockopt(socket.SOL_SOCKET, side, 65536)  # a link is no store
            self.pairs.append((near, far))
            lag = self.random.random()
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=self.carry, args=(source, sink, lag), daemon=True).start()

    def spoil(self, data):
        """What becomes of a piece, and whether the connection ends with it."""
        if self.flips > 0:
            self.flips -= 1
            self.done += 1
            place, bit = self.random.randrange(len(data)), 1 << self.random.randrange(8)
            return data[:place] + bytes([data[place] ^ bit]) + data[place + 1 :], False
        if self.truncations > 0:
            self.truncations -= 1
            self.done += 1
            return data[: len(data) // 2], True
        return data, False

    def carry(self, source, sink, lag):
        try:
            while data := source.recv(65536):
                if self.delay or self.disorder:
                    self.done += 1
                    time.sleep(self.delay + self.disorder * lag)
                data, last = self.spoil(data)
                sink.sendall(data)
                if last:
                    break
        except OSError:
            pass
        for end in (source, sink):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def cut(self):
        """Ends every connection at once, without a word."""
        pairs, self.pairs = self.pairs, []
        for pair in pairs:
            for end in pair:
                try:
                    end.shutdown(socket.SHUT_RDWR)
                    end.close()
                    self.done += 1
                except OSError:
                    pass

    def close(self):
        self.open = False
        for listener in self.listeners.values():
            try:
                listener.shutdown(socket.SHUT_RDWR)  # wakes accept()
            except OSError:
                pass
            listener.close()
        self.cut()
