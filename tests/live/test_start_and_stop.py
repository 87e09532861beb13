"""How processes begin and end: requests in flight finish, one command starts all of it, one Ctrl-C stops it."""

import os
import re
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from tests.live.cast import ASSESSMENT
from tests.live.client import Client
from tests.live.service import HOST, ROOT, Service, children, is_running, stop_process, wait_until


@pytest.fixture
def own_postgres(postgres_server, tmp_path):
    name = f"{tmp_path.name}_{os.getpid()}"
    yield postgres_server.create_database(name)
    postgres_server.drop_database(name)


@pytest.mark.slow
def test_a_process_that_is_told_to_stop_finishes_the_request_in_flight(own_postgres, tmp_path):
    with Service(tmp_path, own_postgres).start(processes=1) as service, ThreadPoolExecutor(1) as threads:
        reviewer = service.organization("Acme")
        with closing(service.connect()) as holder:
            holder.cursor().execute("SELECT id FROM organizations FOR UPDATE")
            in_flight = threads.submit(reviewer.post, "/v1/assessments", ASSESSMENT)
            wait_until(
                lambda: service.execute("SELECT 1 FROM pg_locks WHERE NOT granted"), "No request waits."
            )
            service.web.terminate()
            wait_until(lambda: not service.responds(within_seconds=1), "It takes requests all the same.")
        assert in_flight.result().status == 201
        assert service.stop() == 0


@pytest.mark.slow
def test_who_was_at_the_door_when_it_was_told_to_stop_is_served_all_the_same(tmp_path):
    with Service(tmp_path, f"sqlite:///{tmp_path}/proofstone.db").start(processes=2) as service:
        processes = service.web_processes()
        for process in processes:
            os.kill(process, signal.SIGSTOP)
        wait_until(lambda: all(said(process, "State", "T") for process in processes), "They go on.")
        with ExitStack() as stack:
            waiting = [stack.enter_context(socket.create_connection((HOST, service.port))) for _ in range(50)]
            for connection in waiting:
                connection.sendall(b"GET /v1/health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            service.web.terminate()
            wait_until(lambda: all(map(is_told_to_stop, processes)), "The processes are not told.")
            for process in processes:
                os.kill(process, signal.SIGCONT)
            answers = [connection.makefile("rb").readline() for connection in waiting]
        assert answers == [b"HTTP/1.1 200 OK\r\n"] * 50
        assert service.stop() == 0


def is_told_to_stop(pid):
    """Whether a SIGTERM waits for a process."""
    return int(said(pid, "ShdPnd", "[0-9a-f]+"), 16) & 1 << (signal.SIGTERM - 1)


def said(pid, name, pattern):
    """What Linux says of a process under that name, if it is as the pattern."""
    found = re.search(rf"^{name}:\s*({pattern})", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return found and found[1]


# `make run`

DOCS = "Proofstone is running. API docs: http://localhost:{port}/docs (Ctrl-C stops it)"


@pytest.fixture
def launcher(tmp_path):
    """Start the launcher as `make run` does, with a database and a port of its own."""
    service = Service(tmp_path, f"sqlite:///{tmp_path}/proofstone.db")
    with socket.create_server((HOST, 0)) as probe:
        service.port = probe.getsockname()[1]
    process = service.spawn(["-m", "tools.scripts.run"], PORT=str(service.port), WEB_CONCURRENCY="1")
    try:
        wait_until(lambda: "(Ctrl-C stops it)" in service.log(), "The launcher does not get ready.")
        yield service, process
    finally:
        stop_process(process)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_nothing_that_the_launcher_started_outlives_it(launcher, number):
    service, process = launcher
    assert Client(service.port).get("/v1/health").status == 200
    started = descendants(process.pid)
    assert len(started) >= 3  # gunicorn, its process, the worker
    said = [line for line in service.log().splitlines() if "proofstone.requests" not in line]
    assert said[-1] == DOCS.format(port=service.port)
    process.send_signal(number)
    status = process.wait(30)
    wait_until(lambda: not any(map(is_running, started)), "Something is left running.")
    assert status == (0 if number != signal.SIGKILL else -signal.SIGKILL)
    assert "Traceback" not in service.log()


def descendants(pid):
    found = children(pid)
    return found + [further for child in found for further in descendants(child)]


@pytest.mark.slow
def test_a_taken_port_is_said_in_one_sentence(tmp_path):
    with socket.create_server((HOST, 0)) as taken:
        port = taken.getsockname()[1]
        environment = os.environ | {"PORT": str(port), "DATABASE_URL": f"sqlite:///{tmp_path}/proofstone.db"}
        launched = subprocess.run(
            [sys.executable, "-m", "tools.scripts.run"],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
        )
    assert launched.returncode == 1
    assert launched.stderr.splitlines() == [
        f"Port {port} cannot be used (Address already in use); choose another: make run PORT={port + 1}"
    ]
    assert list(tmp_path.iterdir()) == []
