"""Connection pools that start a call's Watch once its request has been sent."""

import threading
from typing import Any

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection

from proxy.disconnect import Watch

# The current thread's Watch: urllib3's urlopen() cannot pass it to the connection.
_current = threading.local()


def create_pool(base_url: str, size: int, timeout: urllib3.Timeout) -> urllib3.HTTPConnectionPool:
    """Create a connection pool for `urlopen`."""
    pool = urllib3.connection_from_url(base_url, maxsize=size, timeout=timeout)
    pool.ConnectionCls = _WatchedHTTPSConnection if pool.scheme == "https" else _WatchedHTTPConnection
    return pool


def urlopen(
    pool: urllib3.HTTPConnectionPool, watch: Watch, method: str, target: str, **options: Any
) -> urllib3.BaseHTTPResponse:
    """Send a request, and return the response once its headers have arrived. Does not retry or follow redirects."""
    _current.watch = watch
    options |= {"retries": False, "redirect": False, "preload_content": False, "decode_content": False}
    return pool.urlopen(method, target, **options)


class _Watched:
    def getresponse(self) -> Any:
        """Start the watch: the whole request has been sent."""
        _current.watch.start(self.sock)  # type: ignore[attr-defined]
        return super().getresponse()  # type: ignore[misc]


class _WatchedHTTPConnection(_Watched, HTTPConnection): ...


class _WatchedHTTPSConnection(_Watched, HTTPSConnection): ...
