"""More threads than database connections: requests wait, and connections do not leak."""

import socket

import pytest

from tests.live.cast import MAX_KEYS_PER_REQUEST, invite, make_assessment
from tests.live.client import run_concurrently
from tests.live.service import HOST, Service

BATCHES = 100
LONG_NAME = "Alice " * 40


@pytest.fixture(scope="module")
def service(postgres_server, tmp_path_factory):
    """A process with eight threads and two connections."""
    folder = tmp_path_factory.mktemp("small_pool")
    url = postgres_server.create_database("proofstone_small_pool")
    with Service(folder, url, DATABASE_POOL="2", WEB_THREADS="8").start(processes=1) as service:
        yield service
    postgres_server.drop_database("proofstone_small_pool")


@pytest.fixture(scope="module")
def reviewer(service):
    """A reviewer with megabytes of candidates."""
    reviewer = service.organization("Acme")
    assessment, addresses = make_assessment(reviewer), ["alice@example.com"] * MAX_KEYS_PER_REQUEST
    for _ in range(BATCHES):
        invite(reviewer, assessment, *addresses, candidateNames=[LONG_NAME] * MAX_KEYS_PER_REQUEST)
    return reviewer


def test_requests_wait_for_a_connection(reviewer):
    responses = run_concurrently([lambda: reviewer.get("/v1/candidates?limit=200")] * 32)
    assert {response.status for response in responses} == {200}


def test_disconnecting_during_an_export_releases_the_connection(service, reviewer):
    for _ in range(8):
        disconnect_early(service.port, reviewer)
    responses = run_concurrently([lambda: reviewer.get("/v1/candidates?limit=1")] * 8)
    assert {response.status for response in responses} == {200}
    export = reviewer.get("/v1/candidates/export")
    assert len(export.text.splitlines()) == 1 + BATCHES * MAX_KEYS_PER_REQUEST


def disconnect_early(port, reviewer):
    request = f"GET /v1/candidates/export HTTP/1.1\r\nHost: {HOST}\r\n"
    request += f"Authorization: {reviewer.headers['Authorization']}\r\n\r\n"
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect((HOST, port))
        connection.sendall(request.encode())
        assert connection.recv(12) == b"HTTP/1.1 200"
