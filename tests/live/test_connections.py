"""More threads or processes than database connections: requests wait, and unused connections are returned."""

import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from tests.live.cast import MAX_KEYS_PER_REQUEST, invite, make_assessment
from tests.live.client import Load, run_concurrently
from tests.live.load import Callers
from tests.live.service import HOST, Service, wait_until

BATCHES = 100
LONG_NAME = "Alice " * 40


@pytest.fixture(scope="module")
def service(postgres_server, tmp_path_factory):
    """A process with two connections."""
    folder = tmp_path_factory.mktemp("small_pool")
    url = postgres_server.create_database("proofstone_small_pool")
    with Service(folder, url, DATABASE_POOL="2").start(processes=1) as service:
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


def limited_service(server, folder, max_connections, **settings):
    """Return a service whose database accepts `max_connections`, three of them reserved."""
    url = server.create_database("proofstone")
    server.options += ["-c", f"max_connections={max_connections}"]
    server.restart()
    return Service(folder, url, **settings)


def test_many_processes_share_few_connections(own_server, tmp_path):
    service = limited_service(own_server, tmp_path, 40, WEB_THREADS="8", PROXY_STREAMS="4")
    with service.start(processes=10):
        callers = Callers(service)
        calls = [*callers.calls, *callers.calls[:3]]
        occupy_connections(service, own_server, callers.reviewer, 30)
        with Load(calls):
            for _ in range(10):
                callers.wait_for_successes()
    assert len(calls) == 10
    assert callers.rejected == []


def test_a_small_database_carries_all_processes(own_server, tmp_path):
    service = limited_service(own_server, tmp_path, 20)
    with service.start(processes=1), service.worker():
        callers = Callers(service)
        with Load(callers.calls * 2):
            callers.wait_for_successes()
            assert "\nok      database: " in service.flask("doctor")
            service.flask("db", "upgrade")
            callers.wait_for_successes()
        assert callers.rejected == []
        callers.assert_worker_delivers()
        # The worker and the monitoring connect again and again, the web process only for requests.
        wait_until(lambda: connection_count(own_server) < 8, "Unused connections stayed open.")


def occupy_connections(service, server, reviewer, count):
    """Send `count` requests that wait for a lock, then wait until their connections have been returned."""
    with closing(service.connect()) as lock, ThreadPoolExecutor(count) as threads:
        lock.cursor().execute("LOCK TABLE assessments")
        responses = [threads.submit(reviewer.get, "/v1/assessments") for _ in range(count)]
        wait_until(lambda: connection_count(server) >= count // 2, "The requests took no connections.")
        lock.rollback()
    assert {response.result().status for response in responses} == {200}
    wait_until(lambda: connection_count(server) < count // 2, "Unused connections stayed open.")


def connection_count(server):
    return server.query("SELECT count(*) FROM pg_stat_activity WHERE datname = 'proofstone'")[0][0]
