"""Notices that a client has hung up while its request waits for somebody else.

A thread that waits for a slow upstream cannot look at its client meanwhile. One thread of the process looks at the
sockets of all clients that wait, and cuts the upstream connection of one that has gone, which wakes its thread.
"""

import contextlib
import selectors
import socket
import threading
from functools import cache
from typing import Any

# Held while a connection is cut, so that after `Watch.end()` none is cut any more.
_lock = threading.Lock()


class Watch:
    """From `begin` to `end`, the upstream connection is cut when the client hangs up; `has_left` then."""

    def __init__(self, client: socket.socket | None):
        self.client = client
        self.upstream: socket.socket | None = None
        self.has_left = False

    def begin(self, upstream: socket.socket) -> None:
        """Begin once the client has sent its whole request: its socket stays silent then, until it hangs up."""
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

    def look(self, client: socket.socket) -> None:
        """Something came from the client: its end, or the beginning of a next request, which tells nothing."""
        upstream, self.upstream = self.upstream, None
        _selector().unregister(client)
        if upstream is not None and _is_gone(client):
            self.has_left = True
            with contextlib.suppress(OSError):
                # The plain socket's method: that of a TLS socket would leave its reader without decryption.
                socket.socket.shutdown(upstream, socket.SHUT_RDWR)


def _is_gone(client: socket.socket) -> bool:
    try:
        return not client.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return False
    except OSError:
        return True


@cache
def _selector() -> selectors.BaseSelector:
    """Made at first use, with the thread that looks: one made before a fork would be shared between processes."""
    selector = selectors.DefaultSelector()
    threading.Thread(target=_look, args=(selector,), name="hangups", daemon=True).start()
    return selector


def _look(selector: selectors.BaseSelector) -> None:
    while True:
        for key, _ in selector.select():
            with _lock:
                # It may have ended since, and its number belong to another client's socket by now.
                if selector.get_map().get(key.fd) is key:
                    watch: Any = key.data
                    watch.look(key.fileobj)
