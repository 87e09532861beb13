"""Proofstone as in production: gunicorn and workers as separate processes.

    with Service(folder).start(processes=2) as service:
        reviewer = service.organization("Acme")
        reviewer.post("/v1/assessments", {...})

All processes end with the tests, even if the tests are killed.
"""

import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

import psycopg2

from rules.timestamps import format_timestamp
from tests.live.client import CONNECTION_ERRORS, Client
from tools.scripts.run_with_parent import with_parent

ROOT = Path(__file__).parents[2]
HOST = "127.0.0.1"
LEDGER_KEYS = f"test:{'0' * 64}"
TIMEOUT_SECONDS = 60
POLL_SECONDS = 0.02
WORKER_READY = "The worker is ready."


class Service:
    """One installation: a database, a web process, workers, and one log.

    folder -- for the log, emails and bundles
    database_url -- defaults to a SQLite file in `folder`
    settings -- environment variables of all processes
    """

    web: subprocess.Popen
    code = ROOT

    def __init__(self, folder: Path, database_url: str | None = None, **settings: str):
        self.folder = folder
        self.database_url = database_url or f"sqlite:///{folder}/proofstone.db"
        self.mail_folder = folder / "mail"
        self.settings = {
            "DATABASE_URL": self.database_url,
            "LEDGER_KEYS": LEDGER_KEYS,
            "RATELIMIT_ENABLED": "false",
            "MAIL_FOLDER": str(self.mail_folder),
            "BUNDLE_FOLDER": str(folder / "bundles"),
            "WEBHOOK_ALLOWED_NETWORKS": f"{HOST}/32",
        } | settings
        self.port = 0

    # Processes

    def start(self, processes: int = 2, port: int = 0, application: str = "app:create_app()") -> Self:
        """Upgrade the database, start the web process and wait until it responds. Port 0 is any free port."""
        self.flask("db", "upgrade")
        # gunicorn inherits the open socket, so no other process can take the port.
        with socket.create_server((HOST, port)) as listener:
            self.port, descriptor = listener.getsockname()[1], listener.fileno()
            options = f"--bind fd://{descriptor} --workers {processes}"
            command = ["-m", "gunicorn", application]
            web = self.web = self.spawn(command, pass_fds=[descriptor], GUNICORN_CMD_ARGS=options)
        wait_until(lambda: self._is_running(web) and self.responds(), "The service did not respond.")
        return self

    def stop(self) -> int:
        """Stop the web process gracefully, and return its exit status."""
        return stop_process(self.web)

    @contextmanager
    def worker(self, **settings: str) -> Iterator[subprocess.Popen]:
        """Run a worker, and stop it gracefully at the end of the block."""
        ready_before = self.log().count(WORKER_READY)
        process = self.spawn(["-m", "flask", "worker"], **settings)
        try:
            wait_until(
                lambda: self._is_running(process) and self.log().count(WORKER_READY) > ready_before,
                "The worker did not start.",
            )
            yield process
        finally:
            stop_process(process)

    def spawn(self, command: list[str], pass_fds: Any = (), **settings: str) -> subprocess.Popen:
        """Start Python with `command`."""
        with open(self.folder / "log", "ab") as log:
            return subprocess.Popen(
                with_parent([sys.executable, *command]), cwd=self.code, env=self._environment(settings),
                process_group=0, pass_fds=pass_fds, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip

    def flask(self, *arguments: str, status: int = 0) -> str:
        """Run a `flask` command, check its exit status and return its output."""
        command = [sys.executable, "-m", "flask", *arguments]
        result = subprocess.run(
            command, cwd=self.code, env=self._environment({}), stdout=subprocess.PIPE, text=True
        )
        assert result.returncode == status, result.stdout
        return result.stdout

    def web_processes(self) -> list[int]:
        """Return the ids of gunicorn's running worker processes."""
        return [pid for pid in children(self.web.pid) if is_running(pid)]

    def peak_mib(self) -> float:
        """Return the web processes' highest resident memory so far."""
        return self._memory_mib("VmHWM:")

    def resident_mib(self) -> float:
        """Return the web processes' resident memory."""
        return self._memory_mib("VmRSS:")

    def _memory_mib(self, field: str) -> float:
        statuses = [Path(f"/proc/{pid}/status").read_text() for pid in self.web_processes()]
        return sum(int(status.partition(field)[2].split()[0]) for status in statuses) / 1024

    def responds(self, within_seconds: float = 5) -> bool:
        try:
            return Client(self.port, timeout=within_seconds).get("/v1/health").status == 200
        except CONNECTION_ERRORS:
            return False

    def log(self) -> str:
        """Return the output of all processes."""
        path = self.folder / "log"
        return path.read_text(errors="replace") if path.exists() else ""

    def _environment(self, settings: dict[str, str]) -> dict[str, str]:
        # Excludes the developer's own settings.
        inherited = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        return inherited | {"PYTHON_DOTENV_DISABLED": "1", "PYTHONUNBUFFERED": "1"} | self.settings | settings

    def _is_running(self, process: subprocess.Popen) -> bool:
        assert process.poll() is None, f"A process exited during startup:\n{self.log()}"
        return True

    # Callers

    def organization(self, name: str, plan: str = "self_hosted") -> Client:
        """Create an organization, and return a client with a `write` token."""
        token = self.flask("org", "create", name, "--plan", plan).split()[-1]
        return Client(self.port, Authorization=f"Bearer {token}")

    def candidate(self, key: str) -> Client:
        return Client(self.port, **{"X-API-Key": key})

    @property
    def anonymous(self) -> Client:
        return Client(self.port)

    # Direct access to the database

    def execute(self, statement: str, *values: Any) -> list[tuple]:
        """Run a statement with `%s` parameters in its own transaction, and return its rows."""
        with closing(self.connect()) as connection, connection:
            cursor = connection.cursor()
            cursor.execute(statement if self.is_postgres else statement.replace("%s", "?"), values)
            return cursor.fetchall() if cursor.description else []

    def stored_id(self, text: str) -> str:
        """Format an id as stored in the database: without dashes in SQLite."""
        return text if self.is_postgres else text.replace("-", "")

    def stored_time(self, seconds_ago: float = 0) -> Any:
        """Format a time as stored in the database."""
        time = datetime.now(UTC) - timedelta(seconds=seconds_ago)
        return time if self.is_postgres else format_timestamp(time)

    def connect(self) -> Any:
        if self.is_postgres:
            return psycopg2.connect(self.database_url)
        return sqlite3.connect(self.database_url.removeprefix("sqlite:///"), timeout=30)

    @property
    def is_postgres(self) -> bool:
        return self.database_url.startswith("postgres")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()


def stop_process(process: subprocess.Popen) -> int:
    """Terminate the process, wait for it, and return its exit status."""
    if process.poll() is None:
        process.terminate()
    try:
        return process.wait(TIMEOUT_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        raise


def kill(pid: int) -> None:
    """Kill the process (kill -9) and wait until it has exited."""
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not is_running(pid), f"The process {pid} was not killed.")


def children(pid: int) -> list[int]:
    """Return the ids of a process's children (Linux)."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def is_running(pid: int) -> bool:
    """Return whether the process exists and is not a zombie."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def wait_until(condition: Callable[[], Any], failure: str, seconds: float = TIMEOUT_SECONDS) -> Any:
    """Wait until the condition is true and return its value, or fail with the message."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, failure
        time.sleep(POLL_SECONDS)
    return value
