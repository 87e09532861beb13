"""Detect clients that disconnect while their request waits for a provider.

A thread that waits for a provider cannot watch its client. One thread per process watches the sockets of all waiting
clients. When a client disconnects, it shuts the upstream connection down, which wakes the waiting thread.
"""

import contextlib
import selectors
import socket
import threading
from functools import cache

# Held during a shutdown, so that none happens after `Watch.end()`.
_lock = threading.Lock()


class Watch:
    """Between `start` and `end`, shuts the upstream connection down if the client disconnects."""

    def __init__(self, client: socket.socket | None):
        self.client = client
        self.upstream: socket.socket | None = None
        self.client_left = False

    def start(self, upstream: socket.socket) -> None:
        """Start when the client has sent its whole request: from then on its socket is readable on disconnect only."""
        if self.client is None:
            return
        with _lock:
            self.upstream = upstream
            _selector().register(self.client, selectors.EVENT_READ, self)

    def end(self) -> None:
        with _lock:
            if self.client is not None and self.upstream is not None:
                self.upstream = None
                _selector().unregister(self.client)

    def on_readable(self, client: socket.socket) -> None:
        """Stop watching: the client has disconnected, or sent its next request early."""
        upstream, self.upstream = self.upstream, None
        _selector().unregister(client)
        if upstream is not None and _is_closed(client):
            self.client_left = True
            with contextlib.suppress(OSError):
                # Not SSLSocket.shutdown, which would break the decryption for the thread that is reading.
                socket.socket.shutdown(upstream, socket.SHUT_RDWR)


def _is_closed(client: socket.socket) -> bool:
    try:
        return not client.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return False
    except OSError:
        return True


@cache
def _selector() -> selectors.BaseSelector:
    """Created with its thread at first use, so that it is not shared with processes forked before."""
    selector = selectors.DefaultSelector()
    threading.Thread(target=_run, args=(selector,), name="disconnects", daemon=True).start()
    return selector


def _run(selector: selectors.BaseSelector) -> None:
    while True:
        for key, _ in selector.select():
            with _lock:
                # The watch may have ended, and the file descriptor may belong to another client by now.
                if selector.get_map().get(key.fd) is key:
                    key.data.on_readable(key.fileobj)
