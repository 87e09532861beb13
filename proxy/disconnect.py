"""Detect clients that disconnect while their request waits for a provider.

A thread that waits for a provider cannot watch its client, so one thread per process watches the sockets of all waiting
clients. Soon after a client disconnects, it shuts down the upstream connection, which wakes the waiting thread.
"""

import contextlib
import select
import selectors
import socket
import ssl
import threading
from functools import cache

from web.sockets import is_closed

# After a disconnect, the provider can still report the usage of a response that is about to end. A process that shuts
# down waits longer than this (web/gunicorn_worker.py).
GRACE_SECONDS = 2
# Prevents a shutdown after `Watch.end()`.
_lock = threading.RLock()


class Watch:
    """Between `start` and `end`, shuts down the upstream connection GRACE_SECONDS after the client disconnects."""

    def __init__(self, client: socket.socket | None):
        self.client = client
        self.upstream: socket.socket | None = None
        self.client_disconnected = False
        self.is_shut_down = False
        self._timer: threading.Timer | None = None

    def start(self, upstream: socket.socket) -> None:
        """Start watching. The client has sent its whole request, so its socket becomes readable only on disconnect."""
        with _lock:
            self.upstream = upstream
            if self.client is not None:
                _selector().register(self.client, selectors.EVENT_READ, self)

    @property
    def is_started(self) -> bool:
        """True once the whole request has been sent to the provider."""
        return self.upstream is not None

    @property
    def is_silent(self) -> bool:
        """True if there is no unread data from the provider."""
        with _lock:
            if self.upstream is None or (
                isinstance(self.upstream, ssl.SSLSocket) and self.upstream.pending()
            ):
                return False
            poll = select.poll()
            poll.register(self.upstream, select.POLLIN)
            return not poll.poll(0)

    def end(self) -> None:
        with _lock:
            self._unregister()
            self.upstream = None
            if self._timer:
                self._timer.cancel()

    def on_readable(self) -> None:
        """Stop watching: the client has disconnected, or sent its next request early."""
        client = self.client
        self._unregister()
        if client is not None and is_closed(client):
            self.on_client_disconnect()

    def on_client_disconnect(self) -> None:
        """Shut down the upstream connection after GRACE_SECONDS."""
        with _lock:
            if self.client_disconnected:
                return
            self.client_disconnected = True
            self._timer = threading.Timer(GRACE_SECONDS, self._shut_down)
            self._timer.daemon = True
            self._timer.start()

    def _unregister(self) -> None:
        if self.client is not None and self.upstream is not None:
            _selector().unregister(self.client)
            self.client = None

    def _shut_down(self) -> None:
        with _lock:
            if self.upstream is not None:
                self.is_shut_down = True
                with contextlib.suppress(OSError):
                    # SSLSocket.shutdown would break the decryption for the reading thread.
                    socket.socket.shutdown(self.upstream, socket.SHUT_RDWR)


@cache
def _selector() -> selectors.BaseSelector:
    """Create the selector and its thread on first use, after the process was forked."""
    selector = selectors.DefaultSelector()
    threading.Thread(target=_run, args=(selector,), name="disconnects", daemon=True).start()
    return selector


def _run(selector: selectors.BaseSelector) -> None:
    while True:
        for key, _ in selector.select():
            with _lock:
                # The watch can have ended, and its file descriptor can already belong to a different client.
                if selector.get_map().get(key.fd) is key:
                    key.data.on_readable()
