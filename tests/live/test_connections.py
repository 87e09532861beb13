"""A pool that is smaller than the number of threads makes requests wait, and no connection is ever lost to it."""

import socket

import pytest

from tests.live.cast import MAX_KEYS_PER_REQUEST, invite, make_assessment
from tests.live.client import run_concurrently
from tests.live.service import HOST, Service

LONG_NAME = "Alice " * 40


@pytest.fixture(scope="module")
def narrow(postgres_server, tmp_path_factory):
    """One process of eight threads with two connections, and a reviewer with megabytes of candidates."""
    folder = tmp_path_factory.mktemp("narrow")
    url = postgres_server.create_database("proofstone_narrow")
    with Service(folder, url, DATABASE_POOL="2", WEB_THREADS="8").start(processes=1) as service:
        reviewer = service.organization("Acme")
        assessment = make_assessment(reviewer)
        addresses = ["alice@example.com"] * MAX_KEYS_PER_REQUEST
        for _ in range(100):
            invite(reviewer, assessment, *addresses, candidateNames=[LONG_NAME] * MAX_KEYS_PER_REQUEST)
        yield service, reviewer
    postgres_server.drop_database("proofstone_narrow")


@pytest.mark.slow
def test_more_threads_than_connections_take_turns(narrow):
    _, reviewer = narrow
    answers = run_concurrently([lambda: reviewer.get("/v1/candidates?limit=200")] * 32)
    assert {answer.status for answer in answers} == {200}


@pytest.mark.slow
def test_a_reader_who_hangs_up_in_the_middle_of_the_file_keeps_no_connection(narrow):
    service, reviewer = narrow
    for _ in range(8):
        hang_up_early(service.port, reviewer)
    answers = run_concurrently([lambda: reviewer.get("/v1/candidates?limit=1")] * 8)
    assert {answer.status for answer in answers} == {200}
    whole = reviewer.get("/v1/candidates?format=csv")
    assert len(whole.text.splitlines()) == 1 + 100 * MAX_KEYS_PER_REQUEST


def hang_up_early(port, reviewer):
    request = f"GET /v1/candidates?format=csv HTTP/1.1\r\nHost: {HOST}\r\n"
    request += f"Authorization: {reviewer.headers['Authorization']}\r\n\r\n"
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect((HOST, port))
        connection.sendall(request.encode())
        assert connection.recv(12) == b"HTTP/1.1 200"
