"""The kernel's filter that drops new connections while a stopping web process accepts the queued ones."""

import contextlib
import socket
import sys

import pytest

from web.gunicorn_worker import new_connections_dropped


def connects(address):
    with socket.socket() as client, contextlib.suppress(TimeoutError):
        client.settimeout(0.2)
        client.connect(address)
        return True
    return False


@pytest.mark.skipif(sys.platform != "linux", reason="Only Linux has socket filters.")
def test_new_connections_wait_until_the_filter_is_gone():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()
        assert connects(address)
        with new_connections_dropped(listener):
            assert not connects(address)
        assert connects(address)
