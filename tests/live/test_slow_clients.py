"""A request's head has to come to its end: however many trickle, they hold no thread for long."""

import socket
import time
from contextlib import suppress

import pytest

from tests.live.client import Load
from tests.live.service import HOST, Service, wait_until
from tests.live.slow_clients import HEAD, slow, trickling
from web.gunicorn_worker import HEAD_SECONDS

THREADS = 4


@pytest.mark.slow
def test_heads_of_a_byte_a_second_are_hung_up_on(tmp_path):
    service = Service(tmp_path, f"sqlite:///{tmp_path}/proofstone.db", WEB_THREADS="4", PROXY_STREAMS="1")
    with service.start(processes=1), slow(service.port, trickling(HEAD), THREADS):
        with socket.create_connection((HOST, service.port), 60) as client:
            began = time.monotonic()
            client.sendall(HEAD)
            with Load([lambda: drip(client)]):
                while client.recv(1000):
                    pass
            assert time.monotonic() - began < 2 * HEAD_SECONDS + 10
        wait_until(lambda: service.responds(within_seconds=2), "The threads are held for ever.", seconds=20)


def drip(client):
    with suppress(OSError):
        client.sendall(b"x")
    time.sleep(0.5)
