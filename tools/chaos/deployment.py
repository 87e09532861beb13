"""All that runs: PostgreSQL (or a file of SQLite), the web process, the workers, a mail server and a receiver."""

import os
import select
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from tests import postgres
from tests.delivery.mail_server import HOST, free_port
from tests.live.service import PATIENCE_SECONDS, Service, children, is_running, wait_until
from tools.chaos.calls import Breach, Headers, Line, Outages, Pace
from tools.chaos.receivers import Receivers
from tools.chaos.story import CRITERIA, LEVELS

WEB_PROCESSES = 2
WORKERS = 2
STOP_SECONDS = 20


class World:
    """One installation at work, and the ways to break and mend it.

    database -- `sqlite` or `postgresql`
    pace -- how fast the writers may go; as fast as they can without one
    """

    def __init__(self, database: str, pace: Pace | None = None):
        self.database = database
        self.outages = Outages()
        self.receivers = Receivers()
        self.line = Line(free_port(), self.outages, pace, has_one_writer=database == "sqlite")
        self.server: postgres.EmbeddedServer | None = None
        self.workers: list[subprocess.Popen] = []
        self.reviewer: Headers = {}
        self.rubric_id = ""
        self._stack = ExitStack()

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Everything started, with a reviewer, a rubric and a webhook; gone at the end."""
        with self._stack:
            folder = Path(self._stack.enter_context(_temporary_folder()))
            url = self._start_database(folder)
            self._stack.enter_context(self.receivers.at_work())
            self.service = Service(folder, url, **self._settings())
            self.service.port = self.line.port
            self.service.flask("db", "upgrade")
            self._stack.callback(self._stop_processes)
            self.start_web()
            self.workers = [self.start_worker() for _ in range(WORKERS)]
            self._furnish()
            yield

    def _start_database(self, folder: Path) -> str:
        if self.database == "sqlite":
            return f"sqlite:///{folder}/proofstone.db"
        server = self._stack.enter_context(postgres.start(tcp=True))
        self.server = server if isinstance(server, postgres.EmbeddedServer) else None
        return server.create_database("proofstone_chaos")

    def _settings(self) -> dict[str, str]:
        return {
            "SMTP_URL": f"smtp://{HOST}:{self.receivers.mail_port}",
            "WEBHOOK_ALLOWED_NETWORKS": f"{HOST}/32",
            "BASE_URL": f"http://{HOST}:{self.line.port}",
        }

    def _furnish(self) -> None:
        token = self.service.flask("org", "create", "Acme", "--plan", "self_hosted").split()[-1]
        self.reviewer = {"Authorization": f"Bearer {token}"}
        levels = [{"value": value, "label": f"Level {value}"} for value in LEVELS]
        criteria = [{"key": key, "title": key, "levels": levels} for key in CRITERIA]
        rubric = {"name": "Engineers", "criteria": criteria}
        self.rubric_id = self.line.insist("POST", "/v1/rubrics", rubric, self.reviewer)["rubric"]["id"]
        hook = self.line.insist("POST", "/v1/webhooks", {"url": self.receivers.hook_url}, self.reviewer)
        self.receivers.hooks.secret = hook["secret"]

    # Processes

    def start_web(self) -> None:
        """Start the web process on the port that it always has; returns when it answers."""
        options = f"--bind {HOST}:{self.line.port} --workers {WEB_PROCESSES}"
        command = ["-m", "gunicorn", "app:create_app()"]
        self.service.web = self.service.spawn(command, GUNICORN_CMD_ARGS=options)
        wait_until(self.service.answers, "The web process does not come back.")

    def start_worker(self) -> subprocess.Popen:
        """Start another worker; returns when it is at work, which it tells by closing a pipe."""
        ready, says_ready = os.pipe()
        command = ["-m", "flask", "worker", "--ready-fd", str(says_ready)]
        process = self.service.spawn(command, pass_fds=[says_ready])
        os.close(says_ready)
        has_closed = select.select([ready], [], [], PATIENCE_SECONDS)[0]
        os.close(ready)
        if not has_closed or process.poll() is not None:
            raise Breach("A worker does not get ready.")
        return process

    @property
    def web(self) -> subprocess.Popen:
        assert self.service.web is not None
        return self.service.web

    def stop_web(self) -> None:
        """SIGTERM; Breach where it takes too long, or where a request that was let in gets no answer."""
        began, lost_before = time.monotonic(), len(self.line.lost)
        self._stop(self.web, "The web process")
        ended = time.monotonic()
        lost = [it.words for it in self.line.lost[lost_before:] if it.began < ended and it.ended > began]
        if lost:
            raise Breach(f"{len(lost)} requests were lost as the web process stopped: {'; '.join(lost[:3])}")

    def stop_worker(self) -> None:
        self._stop(self.workers.pop(0), "A worker")

    def _stop(self, process: subprocess.Popen, name: str) -> None:
        process.terminate()
        try:
            status = process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise Breach(f"{name} did not stop within {STOP_SECONDS} seconds.") from None
        if status != 0:
            raise Breach(f"{name} ended with status {status} when it was told to stop.")

    def kill_web_master(self) -> None:
        """kill -9 of the master; its processes notice and end, and only then can another take the port."""
        orphans = children(self.web.pid)
        self.web.kill()
        self.web.wait()
        wait_until(lambda: not any(map(is_running, orphans)), "Processes outlive their master.", STOP_SECONDS)

    def kill_worker(self) -> None:
        worker = self.workers.pop(0)
        worker.send_signal(signal.SIGKILL)
        worker.wait()

    def resident_bytes(self) -> dict[str, list[int]]:
        """How much memory the web processes and the workers hold now."""
        pids = {"web": children(self.web.pid), "worker": [worker.pid for worker in self.workers]}
        return {name: [_resident_bytes(pid) for pid in found] for name, found in pids.items()}

    def _stop_processes(self) -> None:
        for process in (self.service.web, *self.workers):
            if process is not None and process.poll() is None:
                process.terminate()
        for process in (self.service.web, *self.workers):
            if process is not None:
                process.wait(2 * STOP_SECONDS)

    # The database

    def restart_database(self) -> None:
        assert self.server is not None
        with self.outages.one():
            self.server.restart()

    def crash_database(self) -> None:
        assert self.server is not None
        with self.outages.one():
            self.server.kill()
            self.server.start()

    def kill_postmaster(self) -> None:
        """kill -9 of PostgreSQL's first process; another can start once the others have noticed."""
        assert self.server is not None
        with self.outages.one():
            self.server.process.kill()
            self.server.process.wait()
            wait_until(self._started_again, "PostgreSQL does not come back.")

    def _started_again(self) -> bool:
        assert self.server is not None
        try:
            self.server.start()
        except postgres.Unavailable:
            return False
        return True

    def ask_database(self, statement: str, *values: Any) -> list[tuple]:
        return self.service.execute(statement, *values)


@contextmanager
def _temporary_folder() -> Iterator[str]:
    folder = tempfile.mkdtemp(prefix="proofstone-chaos-")
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _resident_bytes(pid: int) -> int:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
