"""Silent clients do not block a process (docs/operating.md#put-a-proxy-in-front)."""

import socket
import threading
from contextlib import ExitStack, contextmanager, suppress

import pytest

from tests.live.service import HOST, Service, wait_until
from web.gunicorn_worker import SOCKET_TIMEOUT_SECONDS

THREADS = 4

HEAD = b"GET /v1/health HTTP/1.1\r\nHost: x\r\nX-Slow: "
BODY = (
    b"POST /v1/candidate/consent HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    b"Content-Length: 10000\r\n\r\n{"
)
# Together more than the kernel buffers for a connection (net.ipv4.tcp_wmem).
LARGE_RESPONSES = b"GET /docs/swagger-ui-bundle.js HTTP/1.1\r\nHost: x\r\n\r\n" * 5
SENT = {
    "half the headers, then silence": HEAD,
    "half a body, then silence": BODY,
    "reads nothing of large responses": LARGE_RESPONSES,
}


@contextmanager
def silent_clients(port, sent, count):
    """Run clients that send these bytes, then nothing."""
    ended = threading.Event()

    def run():
        with suppress(OSError), socket.socket() as connection:
            # With a larger buffer, the kernel would read for the client.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.connect((HOST, port))
            connection.sendall(sent)
            ended.wait()

    threads = [threading.Thread(target=run, daemon=True) for _ in range(count)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        ended.set()
        for thread in threads:
            thread.join(5)


@pytest.fixture
def service(tmp_path):
    settings = {"WEB_THREADS": str(THREADS), "PROXY_STREAMS": "1"}
    with Service(tmp_path, f"sqlite:///{tmp_path}/proofstone.db", **settings).start(processes=1) as service:
        yield service


@pytest.mark.parametrize("kind", SENT)
def test_silent_clients_are_disconnected_without_a_traceback(service, kind):
    with silent_clients(service.port, SENT[kind], THREADS):
        wait_until(lambda: not service.responds(within_seconds=1), "The clients did not occupy all threads.")
        # The kernel accepts more of the response for a while. Each byte restarts the timeout.
        wait_until(
            lambda: service.responds(within_seconds=2),
            "The threads stayed occupied.",
            6 * SOCKET_TIMEOUT_SECONDS,
        )
    assert "Traceback" not in service.log()


def test_clients_that_do_not_close_their_connection_do_not_block_others(service):
    with ExitStack() as stack:
        for _ in range(10):
            client = stack.enter_context(socket.create_connection((HOST, service.port)))
            client.sendall(b"GET /v1/health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        # gunicorn's own loop would wait two seconds for each connection.
        assert service.responds(within_seconds=8)
