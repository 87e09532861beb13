"""The commands in Procfile and Dockerfile, and deploy/Caddyfile in front of a service."""

import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.client import HTTPConnection
from threading import Event

import pytest

from tests.live.cast import make_assessment, make_candidate
from tests.live.client import Client
from tests.live.service import HOST, ROOT, Service, wait_until
from tests.live.test_slow_clients import BODY, silent_clients
from tests.proxy.upstream import MESSAGE_EVENTS, MESSAGES, START, STREAMING_BODY, Upstream, stay_open, streams
from tests.servers import free_port, serve
from tools.scripts.run_with_parent import with_parent

PROCFILE = dict(re.findall(r"^(\w+): (.*)$", (ROOT / "Procfile").read_text(), re.MULTILINE))
DOCKERFILE = (ROOT / "Dockerfile").read_text()
(CONTAINER_COMMAND,) = re.findall(r"^CMD (.*)$", DOCKERFILE, re.MULTILINE)
CADDYFILE = (ROOT / "deploy/Caddyfile").read_text()
MIB = 1024 * 1024


class Platform(Service):
    """A service whose processes a shell starts, as on a PaaS: with PORT, and without a home folder."""

    def __init__(self, folder, database_url=None, **settings):
        path = f"{os.path.dirname(sys.executable)}:{os.environ['PATH']}"
        super().__init__(folder, database_url, PATH=path, HOME="/nonexistent", DYNO="web.1", **settings)
        self.port = free_port()
        self.settings["PORT"] = str(self.port)

    def run(self, command):
        """Run a command to its end, and return its output."""
        result = subprocess.run(
            command, shell=True, cwd=ROOT, env=self._environment({}), capture_output=True, text=True
        )
        assert result.returncode == 0, result.stderr
        return result.stdout

    @contextmanager
    def running(self, command, ready):
        """Run a command until the block ends. Only its own process receives SIGTERM."""
        with open(self.folder / "log", "ab") as log:
            process = subprocess.Popen(
                with_parent(["/bin/sh", "-c", command], "SIGTERM"), cwd=ROOT, env=self._environment({}),
                process_group=0, stdout=log, stderr=log,
            )  # fmt: skip
        try:
            wait_until(lambda: ready in self.log() or process.poll() is not None, "It did not start.")
            yield
        finally:
            process.terminate()
            assert process.wait(20) == 0
            wait_until(lambda: not group_exists(process.pid), "A process is still running.", 20)


def group_exists(pid):
    try:
        os.killpg(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_the_procfile_serves_the_first_request(postgres_server, tmp_path):
    """As in docs/operating.md#paas."""
    url = postgres_server.create_database("proofstone_paas")
    platform = Platform(tmp_path, url.replace("postgresql://", "postgres://"), WEB_CONCURRENCY="2")
    for _ in range(2):
        platform.run(PROCFILE["release"])
    token = platform.run('flask org create "Example Ltd"').strip()
    listening = f"Listening at: http://0.0.0.0:{platform.port}"
    with (
        platform.running(PROCFILE["web"], listening),
        platform.running(PROCFILE["worker"], "worker is ready"),
    ):
        client = Client(platform.port, Authorization=f"Bearer {token}")
        wait_until(platform.responds, "The web process did not respond.")
        assert client.get("/v1/org")["org"]["name"] == "Example Ltd"
        assert len(client.get("/v1/issues")["issues"]) > 0
    assert '"level":"WARNING","logger":"proofstone","message":"Heroku deletes files' in platform.log()
    postgres_server.drop_database("proofstone_paas")


@pytest.mark.parametrize(
    ("command", "address"),
    [
        (CONTAINER_COMMAND, "0.0.0.0"),
        ('exec gunicorn "app:create_app()"', HOST),
        ('exec gunicorn --bind 127.0.0.2:$PORT "app:create_app()"', "127.0.0.2"),
    ],
)
def test_only_containers_and_platforms_listen_on_all_addresses(tmp_path, command, address):
    platform = Platform(tmp_path)
    with platform.running(command, f"Listening at: http://{address}:{platform.port}"):
        pass


@pytest.fixture
def proxied(tmp_path):
    """A service and its upstream, behind Caddy with deploy/Caddyfile."""
    if not (caddy := shutil.which("caddy")):
        pytest.skip("Caddy is not installed.")
    port, file = free_port(), tmp_path / "Caddyfile"
    environment = [f"BASE_URL=http://{HOST}:{port}", f"HOME={tmp_path}"]
    with Upstream() as upstream, Service(
        tmp_path, TRUSTED_PROXIES="1", ANTHROPIC_BASE_URL=upstream.address, ANTHROPIC_API_KEY="sk-ant-ours"
    ).start(processes=1) as service:  # fmt: skip
        address = f"{HOST}:{service.port}"
        file.write_text("{\nadmin off\n}\n" + CADDYFILE.replace("web:8000", address))
        with serve(port, "/usr/bin/env", *environment, caddy, "run", "--config", str(file)):
            service.port, service.settings["PORT"] = port, str(service.port)
            yield service, upstream


@pytest.fixture
def candidate(proxied):
    service, _ = proxied
    reviewer = service.organization("Acme")
    return make_candidate(service, reviewer, make_assessment(reviewer))


def test_caddy_streams_model_responses(proxied, candidate):
    _, upstream = proxied
    rest_after = Event()
    upstream.respond = streams(MESSAGE_EVENTS, rest_after)
    connection = HTTPConnection(HOST, candidate.port, timeout=20)
    connection.request(
        "POST", MESSAGES, STREAMING_BODY, candidate.headers | {"Content-Type": "application/json"}
    )
    response = connection.getresponse()
    assert response.read(len(START)) == START
    rest_after.set()
    assert response.read() == b"".join(MESSAGE_EVENTS[1:])
    connection.close()


def test_caddy_disconnects_from_the_service_with_the_client(proxied, candidate):
    _, upstream = proxied
    disconnected = Event()

    def respond(exchange):
        stay_open(exchange)
        disconnected.set()

    upstream.respond = respond
    connection = HTTPConnection(HOST, candidate.port, timeout=20)
    connection.request(
        "POST", MESSAGES, STREAMING_BODY, candidate.headers | {"Content-Type": "application/json"}
    )
    assert connection.getresponse().read(len(START)) == START
    connection.close()
    assert disconnected.wait(10)


def test_caddy_buffers_bodies_and_accepts_the_largest_bundle(proxied, candidate):
    service, _ = proxied
    # Caddy also has a small buffer of its own.
    incomplete = BODY.replace(b"Host: x", b"Host: %b" % HOST.encode()) + b" " * 9000
    with silent_clients(candidate.port, incomplete, count=20):
        assert service.responds(within_seconds=5)
    assert candidate.upload(candidate.open_upload(), bytes(128 * MIB)).status == 200


def test_caddy_waits_while_the_web_process_restarts(proxied):
    service, _ = proxied
    service.stop()
    with ThreadPoolExecutor() as threads:
        waiting = threads.submit(service.anonymous.get, "/v1/health")
        port = service.port
        service.start(processes=1, port=int(service.settings["PORT"]))
        assert waiting.result().status == 200
    service.port = port


def test_caddy_replaces_forged_addresses(proxied):
    service, _ = proxied
    assert Client(service.port, **{"X-Forwarded-For": "203.0.113.7"}).get("/v1/org").status == 401
    wait_until(lambda: "status=401" in service.log(), "The request was not logged.")
    assert "203.0.113.7" not in service.log()
    assert f"address={HOST}" in service.log()
