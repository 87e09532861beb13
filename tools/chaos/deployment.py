"""The deployment under test: database, web process, workers, email server and webhook receiver."""

import os
import select
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests import postgres
from tests.live.service import TIMEOUT_SECONDS, Service, children, is_running, kill, wait_until
from tests.servers import HOST, free_port
from tools.chaos.client import ApiClient, Headers, Outages, Violation
from tools.chaos.receivers import Receivers
from tools.chaos.scenario import CRITERIA, LEVELS

WEB_PROCESSES = 2
WORKERS = 2
STOP_SECONDS = 20


class Deployment:
    """A running deployment, and the faults injected into it.

    database -- `sqlite` or `postgresql`
    """

    def __init__(self, database: str):
        self.database = database
        self.outages = Outages()
        self.receivers = Receivers()
        self.client = ApiClient(free_port(), self.outages, has_single_writer=database == "sqlite")
        self.server: postgres.EmbeddedServer | None = None
        self.workers: list[subprocess.Popen] = []
        self.reviewer: Headers = {}
        self.rubric_id = ""
        self._stack = ExitStack()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Run all processes, with a reviewer, a rubric and a webhook, until the block ends."""
        with self._stack:
            temporary_folder = tempfile.TemporaryDirectory(
                prefix="proofstone-chaos-", ignore_cleanup_errors=True
            )
            folder = Path(self._stack.enter_context(temporary_folder))
            url = self._start_database(folder)
            self.receivers.start()
            self._stack.callback(self.receivers.stop)
            self.service = Service(
                folder, url, SMTP_URL=f"smtp://{HOST}:{self.receivers.mail_port}",
                WEBHOOK_ALLOWED_NETWORKS=f"{HOST}/32", BASE_URL=f"http://{HOST}:{self.client.port}",
            )  # fmt: skip
            self.service.port = self.client.port
            self.service.flask("db", "upgrade")
            self._stack.callback(self._stop_processes)
            self.start_web()
            for _ in range(WORKERS):
                self.start_worker()
            self._create_fixtures()
            yield

    def _start_database(self, folder: Path) -> str:
        if self.database == "sqlite":
            return f"sqlite:///{folder}/proofstone.db"
        server = self._stack.enter_context(postgres.start(tcp=True))
        self.server = server if isinstance(server, postgres.EmbeddedServer) else None
        return server.create_database("proofstone_chaos")

    def _create_fixtures(self) -> None:
        token = self.service.flask("org", "create", "Acme", "--plan", "self_hosted").split()[-1]
        self.reviewer = {"Authorization": f"Bearer {token}"}
        levels = [{"value": value, "label": f"Level {value}"} for value in LEVELS]
        criteria = [{"key": key, "title": key, "levels": levels} for key in CRITERIA]
        rubric = {"name": "Engineers", "criteria": criteria}
        self.rubric_id = self.client.request("POST", "/v1/rubrics", rubric, self.reviewer)["rubric"]["id"]
        webhook = {"url": self.receivers.webhook_url}
        response = self.client.request("POST", "/v1/webhooks", webhook, self.reviewer)
        self.receivers.webhooks.secret = response["secret"]

    # Processes

    def start_web(self) -> None:
        """Start the web process on its fixed port and wait until it responds."""
        options = f"--bind {HOST}:{self.client.port} --workers {WEB_PROCESSES}"
        command = ["-m", "gunicorn", "app:create_app()"]
        self.service.web = self.service.spawn(command, GUNICORN_CMD_ARGS=options)
        wait_until(self.service.responds, "The web process did not start.")

    def start_worker(self) -> None:
        """Start a worker and wait until it is ready."""
        ready, worker_end = os.pipe()
        command = ["-m", "flask", "worker", "--ready-fd", str(worker_end)]
        worker = self.service.spawn(command, pass_fds=[worker_end])
        os.close(worker_end)
        is_ready = select.select([ready], [], [], TIMEOUT_SECONDS)[0] and worker.poll() is None
        os.close(ready)
        if not is_ready:
            raise Violation("A worker did not start.")
        self.workers.append(worker)

    def restart_web(self) -> None:
        """Stop the web process with SIGTERM and start it again.

        Raises Violation if it takes too long, or if an accepted request gets no response.
        """
        try:
            start, lost_count = time.monotonic(), len(self.client.lost)
            _stop(self.service.web, "The web process")
            end = time.monotonic()
            lost = [
                request
                for request in self.client.lost[lost_count:]
                if request.start < end and request.end > start
            ]
            if lost:
                examples = "; ".join(request.description for request in lost[:3])
                raise Violation(f"{len(lost)} requests were lost when the web process stopped: {examples}")
        finally:
            self.start_web()

    def restart_worker(self) -> None:
        """Stop a worker with SIGTERM and start another."""
        try:
            _stop(self.workers.pop(0), "A worker")
        finally:
            self.start_worker()

    def kill_web_process(self) -> None:
        """Kill a web process. The master replaces it."""
        kill(self.service.web_processes()[0])
        if self.service.web.poll() is not None:
            raise Violation("The master exited with one of its processes.")

    def kill_web_master(self) -> None:
        """Kill the master, wait until its processes have freed the port, and start it again."""
        master = self.service.web
        orphans = children(master.pid)
        master.kill()
        master.wait()
        failure = "A process outlived its master."
        wait_until(lambda: not any(map(is_running, orphans)), failure, STOP_SECONDS)
        self.start_web()

    def kill_worker(self) -> None:
        worker = self.workers.pop(0)
        worker.kill()
        worker.wait()
        self.start_worker()

    def _stop_processes(self) -> None:
        for process in (self.service.web, *self.workers):
            process.terminate()
        for process in (self.service.web, *self.workers):
            process.wait(2 * STOP_SECONDS)

    # Database

    def restart_database(self) -> None:
        assert self.server is not None
        with self.outages.record():
            self.server.restart()

    def crash_database(self) -> None:
        assert self.server is not None
        with self.outages.record():
            self.server.kill()
            self.server.start()

    def kill_postmaster(self) -> None:
        """Kill PostgreSQL's postmaster. It can start again only after its child processes have exited."""
        assert self.server is not None
        with self.outages.record():
            self.server.process.kill()
            self.server.process.wait()
            wait_until(self._try_start_server, "PostgreSQL did not start again.")

    def _try_start_server(self) -> bool:
        assert self.server is not None
        try:
            self.server.start()
        except postgres.Unavailable:
            return False
        return True


def _stop(process: subprocess.Popen, name: str) -> None:
    process.terminate()
    try:
        status = process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise Violation(f"{name} did not stop within {STOP_SECONDS} seconds.") from None
    if status != 0:
        raise Violation(f"{name} stopped with status {status}.")
