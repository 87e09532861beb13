"""Clients' sockets, which gunicorn passes as `gunicorn.socket`."""

import socket
import threading

# Set when this process stops: requests that wait for something must end.
stopping = threading.Event()


def is_closed(client: socket.socket) -> bool:
    """Return whether the client has disconnected. Does not read what it has sent."""
    try:
        return not client.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return False
    except OSError:
        return True
