"""A few silent clients do not keep a process busy: threads and accept loop (docs/operating.md#put-a-proxy-in-front)."""

import socket
from contextlib import ExitStack

import pytest

from tests.live.service import HOST, Service, wait_until
from tests.live.slow_clients import SILENT, slow_clients
from web.gunicorn_worker import SILENCE_SECONDS

THREADS = 4


@pytest.fixture
def service(tmp_path):
    settings = {"WEB_THREADS": str(THREADS), "PROXY_STREAMS": "1"}
    with Service(tmp_path, f"sqlite:///{tmp_path}/proofstone.db", **settings).start(processes=1) as service:
        yield service


@pytest.mark.slow
@pytest.mark.parametrize("kind", SILENT)
def test_silent_clients_are_disconnected_without_a_traceback(service, kind):
    with slow_clients(service.port, SILENT[kind], THREADS):
        wait_until(lambda: not service.responds(within_seconds=1), "The clients do not occupy all threads.")
        # The kernel still accepts some bytes of a response for a while, each of which restarts the clock.
        wait_until(lambda: service.responds(within_seconds=2), "They stay occupied.", 6 * SILENCE_SECONDS)
    assert "Traceback" not in service.log()


@pytest.mark.slow
def test_clients_that_do_not_close_their_connection_block_no_other(service):
    with ExitStack() as stack:
        for _ in range(10):
            client = stack.enter_context(socket.create_connection((HOST, service.port)))
            client.sendall(b"GET /v1/health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        # gunicorn's loop would wait two seconds for each.
        assert service.responds(within_seconds=8)
