"""Processes finish in-flight requests before they stop. `make run` starts everything; Ctrl-C stops it."""

import os
import re
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path
from uuid import uuid4

import pytest

from tests.live.cast import ASSESSMENT
from tests.live.client import Client
from tests.live.service import HOST, ROOT, Service, children, is_running, stop_process, wait_until


@pytest.fixture
def postgres_url(postgres_server, tmp_path):
    name = f"{tmp_path.name}_{os.getpid()}"
    yield postgres_server.create_database(name)
    postgres_server.drop_database(name)


def test_one_web_process_warns_of_a_proxy_that_was_not_configured(tmp_path):
    service = Service(tmp_path)
    service.flask("db", "upgrade")
    hour = service.stored_time(seconds_ago=60)
    columns = "(id, created_at, hour, invalid_credentials, sole_address)"
    values = (uuid4().hex, hour, hour, 0, "10.0.0.1")
    service.execute(f"INSERT INTO access_hours {columns} VALUES (%s, %s, %s, %s, %s)", *values)
    warning = "All requests come from the private address 10.0.0.1."
    with service.start(processes=2):
        wait_until(lambda: warning in service.log(), "No process warns.")
    assert service.log().count(warning) == 1


def test_sigterm_waits_for_the_request_in_flight(postgres_url, tmp_path):
    with Service(tmp_path, postgres_url).start(processes=1) as service, ThreadPoolExecutor(1) as threads:
        reviewer = service.organization("Acme")
        with closing(service.connect()) as holder:
            holder.cursor().execute("SELECT id FROM organizations FOR UPDATE")
            in_flight = threads.submit(reviewer.post, "/v1/assessments", ASSESSMENT)
            waiting = "SELECT 1 FROM pg_locks WHERE NOT granted"
            wait_until(lambda: service.execute(waiting), "No request waits for the lock.")
            service.web.terminate()
            wait_until(lambda: not service.responds(within_seconds=1), "It still accepts connections.")
        assert in_flight.result().status == 201
        assert service.stop() == 0


def test_connections_queued_at_sigterm_are_served(tmp_path):
    with Service(tmp_path, f"sqlite:///{tmp_path}/proofstone.db").start(processes=2) as service:
        processes = service.web_processes()
        for process in processes:
            os.kill(process, signal.SIGSTOP)
        wait_until(lambda: all(status(process, "State") == "T" for process in processes), "They still run.")
        with ExitStack() as stack:
            clients = [stack.enter_context(socket.create_connection((HOST, service.port))) for _ in range(50)]
            for client in clients:
                client.sendall(b"GET /v1/health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            service.web.terminate()
            wait_until(lambda: all(map(has_pending_sigterm, processes)), "gunicorn sends no SIGTERM.")
            for process in processes:
                os.kill(process, signal.SIGCONT)
            responses = [client.makefile("rb").readline() for client in clients]
        assert responses == [b"HTTP/1.1 200 OK\r\n"] * 50
        assert service.stop() == 0


def has_pending_sigterm(pid):
    return int(status(pid, "ShdPnd"), 16) & 1 << (signal.SIGTERM - 1)


def status(pid, name):
    """Read the first word of a field of /proc/<pid>/status."""
    text = Path(f"/proc/{pid}/status").read_text()
    return re.search(rf"^{name}:\s*(\w+)", text, re.MULTILINE)[1]


READY = (
    "Proofstone is running. Console: http://localhost:{port}/console, API docs: http://localhost:{port}/docs "
    "(press Ctrl-C to stop)"
)


@pytest.fixture
def launcher(tmp_path):
    """`make run` with its own database and port."""
    service = Service(tmp_path, f"sqlite:///{tmp_path}/proofstone.db")
    with socket.create_server((HOST, 0)) as probe:
        service.port = probe.getsockname()[1]
    process = service.spawn(["-m", "tools.scripts.run"], PORT=str(service.port), WEB_CONCURRENCY="1")
    try:
        wait_until(lambda: "(press Ctrl-C to stop)" in service.log(), "The launcher does not get ready.")
        yield service, process
    finally:
        stop_process(process)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_process_outlives_the_launcher(launcher, number):
    service, process = launcher
    assert Client(service.port).get("/v1/health").status == 200
    started = descendants(process.pid)
    assert len(started) >= 3  # gunicorn, its process, the worker
    output = [line for line in service.log().splitlines() if "proofstone.requests" not in line]
    assert output[-1] == READY.format(port=service.port)
    process.send_signal(number)
    exit_status = process.wait(30)
    wait_until(lambda: not any(map(is_running, started)), "A process is left running.")
    assert exit_status == (0 if number != signal.SIGKILL else -signal.SIGKILL)
    assert "Traceback" not in service.log()


def descendants(pid):
    direct = children(pid)
    return direct + [further for child in direct for further in descendants(child)]


def test_a_port_in_use_is_reported_in_one_line(tmp_path):
    with socket.create_server((HOST, 0)) as server:
        port = server.getsockname()[1]
        settings = {"PORT": str(port), "DATABASE_URL": f"sqlite:///{tmp_path}/proofstone.db"}
        launched = subprocess.run(
            [sys.executable, "-m", "tools.scripts.run"], cwd=ROOT, env=os.environ | settings, capture_output=True,
            text=True,
        )  # fmt: skip
    assert launched.returncode == 1
    assert launched.stderr.splitlines() == [
        f"Cannot use port {port} (Address already in use). Choose another one: make run PORT={port + 1}"
    ]
    assert list(tmp_path.iterdir()) == []
