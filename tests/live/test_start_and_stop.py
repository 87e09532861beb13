"""Starting and stopping the web process, and `make run`."""

import os
import re
import signal
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.live.client import Client
from tests.live.service import (
    HOST,
    ROOT,
    WORKER_READY,
    Service,
    children,
    is_running,
    stop_process,
    wait_until,
)
from tests.servers import free_port


def test_connections_queued_at_sigterm_are_served(tmp_path):
    with Service(tmp_path).start(processes=2) as service:
        processes = service.web_processes()
        for process in processes:
            os.kill(process, signal.SIGSTOP)
        wait_until(
            lambda: all(status(process, "State") == "T" for process in processes), "The processes still run."
        )
        with ExitStack() as stack:
            clients = [stack.enter_context(socket.create_connection((HOST, service.port))) for _ in range(50)]
            for client in clients:
                client.sendall(b"GET /v1/health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            service.web.terminate()
            wait_until(lambda: all(map(has_pending_sigterm, processes)), "gunicorn did not send SIGTERM.")
            for process in processes:
                os.kill(process, signal.SIGCONT)
            responses = [client.makefile("rb").readline() for client in clients]
        assert responses == [b"HTTP/1.1 200 OK\r\n"] * 50
        assert service.stop() == 0


def has_pending_sigterm(pid):
    return int(status(pid, "ShdPnd"), 16) & 1 << (signal.SIGTERM - 1)


def status(pid, name):
    """Read the first word of a field in /proc/<pid>/status."""
    text = Path(f"/proc/{pid}/status").read_text()
    return re.search(rf"^{name}:\s*(\w+)", text, re.MULTILINE)[1]


READY = (
    "Proofstone is running. Console: http://localhost:{port}/console, API docs: http://localhost:{port}/docs "
    "(press Ctrl-C to stop)"
)


@pytest.fixture
def launcher(tmp_path):
    """`make run` with its own database and port."""
    service = Service(tmp_path)
    service.port = free_port()
    process = service.spawn(["-m", "tools.scripts.run"], PORT=str(service.port), WEB_CONCURRENCY="1")
    try:
        wait_until(lambda: "(press Ctrl-C to stop)" in service.log(), "The launcher did not get ready.")
        yield service, process
    finally:
        stop_process(process)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_processes_exit_with_the_launcher(launcher, number):
    service, process = launcher
    assert Client(service.port).get("/v1/health").status == 200
    started = descendants(process.pid)
    assert len(started) >= 3  # gunicorn, its process, the worker
    assert READY.format(port=service.port) in service.log().splitlines()
    assert f"Listening at: http://{HOST}:{service.port}" in service.log()
    process.send_signal(number)
    exit_status = process.wait(30)
    wait_until(lambda: not any(map(is_running, started)), "A process is still running.")
    assert exit_status == (0 if number != signal.SIGKILL else -signal.SIGKILL)
    assert "Traceback" not in service.log()


def descendants(pid):
    return [*children(pid), *(each for child in children(pid) for each in descendants(child))]


def test_a_port_in_use_is_reported(tmp_path):
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


@pytest.mark.parametrize(
    "command", [["gunicorn", "app:create_app()"], ["flask", "worker"]], ids=["web", "worker"]
)
@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("LEDGER_KEYS", "", "LEDGER_KEYS=$(openssl rand -hex 32)"),
        ("WEB_CONCURRENCY", "0", "WEB_CONCURRENCY is invalid: expected an integer from 1 to 1000000000."),
        ("PORT", "99999", "PORT is invalid: expected a port from 1 to 65535."),
        (
            "DATABASE_URL",
            "sqlite:////nowhere/x.db",
            "expected a file in an existing folder, and /nowhere does not exist.",
        ),
    ],
)
def test_nothing_starts_with_an_invalid_setting(tmp_path, command, name, value, message):
    service = Service(tmp_path, **{name: value})
    assert service.spawn(["-m", *command]).wait(30) == 1
    (line,) = service.log().splitlines()
    assert line.endswith(message)


def test_a_worker_waits_for_migrations(tmp_path):
    (tmp_path / "proofstone.db").touch()
    service = Service(tmp_path)
    message = "WARNING proofstone.worker: The worker waits for migrations: run `flask db upgrade`."
    worker = service.spawn(["-m", "flask", "worker"])
    try:
        wait_until(lambda: message in service.log(), "The worker does not wait.")
        service.flask("db", "upgrade")
        wait_until(lambda: WORKER_READY in service.log(), "The worker did not start.")
    finally:
        stop_process(worker)
    assert service.log().count(message) == 1
    assert "Traceback" not in service.log()


def test_a_stopped_web_process_does_not_count_as_running(tmp_path):
    count = "SELECT count(*) FROM heartbeats WHERE task = 'web'"
    with Service(tmp_path).start(processes=2) as service:
        wait_until(lambda: service.execute(count) == [(2,)], "The processes do not run.")
    assert service.execute(count) == [(0,)]


def test_a_platform_without_disks_is_a_warning_at_start(tmp_path):
    with Service(tmp_path, DYNO="web.1", SMTP_ULR="x").start(processes=2) as service, service.worker():
        lines = service.log().splitlines()
    deletes = "Heroku deletes files outside a volume on each restart"
    messages = [
        f"{deletes}: set S3_BUCKET",
        f"{deletes}: set DATABASE_URL",
        "SMTP_ULR is not a setting: did you",
    ]
    for logger in ("proofstone", "proofstone.worker"):
        for message in messages:
            assert len([line for line in lines if f" WARNING {logger}: {message}" in line]) == 1
