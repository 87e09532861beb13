"""Proofstone as it runs in earnest: the processes of gunicorn, and workers, each as a program of its own.

    with Service(folder, database_url).start(processes=2) as service:
        reviewer = service.organization("Acme")
        reviewer.post("/v1/assessments", {...})

Whatever is started here ends with the tests, even when they are killed.
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

from tests.live.client import LOST, Client

ROOT = Path(__file__).parents[2]
TETHER = ROOT / "tools" / "scripts" / "tether.py"
HOST = "127.0.0.1"
PATIENCE_SECONDS = 60
GLANCE_SECONDS = 0.02
WORKER_IS_READY = "The worker is ready."


class Service:
    """One installation: a database, the web process on a port of its own, workers, and their common log.

    folder -- for the log and for mails as files
    settings -- by their environment names, for every process of this installation
    """

    def __init__(self, folder: Path, database_url: str, **settings: str):
        self.folder = folder
        self.database_url = database_url
        self.mail_folder = folder / "mail"
        folders = {"MAIL_FOLDER": str(self.mail_folder), "BUNDLE_FOLDER": str(folder / "bundles")}
        ours = {"DATABASE_URL": database_url, "RATELIMIT_ENABLED": "false"}
        self.settings = ours | folders | settings
        self.port = 0
        self.web: subprocess.Popen | None = None

    # Processes

    def start(self, processes: int = 2) -> Self:
        """Bring the database up to date and serve; returns when the service answers."""
        self.flask("db", "upgrade")
        # The socket is handed over, so that nobody else can take the port in between.
        with socket.create_server((HOST, 0)) as listener:
            self.port, number = listener.getsockname()[1], listener.fileno()
            options = f"--bind fd://{number} --workers {processes}"
            command = ["-m", "gunicorn", "app:create_app()"]
            web = self.web = self.spawn(command, pass_fds=[number], GUNICORN_CMD_ARGS=options)
        wait_until(lambda: self._runs(web) and self.answers(), "The service does not answer.")
        return self

    def stop(self) -> int:
        """Stop the web process politely; returns its exit status."""
        assert self.web is not None
        return ended(self.web)

    @contextmanager
    def worker(self, **settings: str) -> Iterator[subprocess.Popen]:
        """A `flask worker` at work beside the web process; stopped politely at the end if it still runs."""
        ready_before = self.log().count(WORKER_IS_READY)
        process = self.spawn(["-m", "flask", "worker"], **settings)
        try:
            wait_until(
                lambda: self._runs(process) and self.log().count(WORKER_IS_READY) > ready_before,
                "The worker does not get ready.",
            )
            yield process
        finally:
            ended(process)

    def spawn(self, command: list[str], pass_fds: Any = (), **settings: str) -> subprocess.Popen:
        """Run Python with `command`; it ends when this process ends."""
        tether = [sys.executable, "-I", "-S", str(TETHER), str(os.getpid()), "SIGKILL", "-"]
        with open(self.folder / "log", "ab") as log:
            return subprocess.Popen(
                [*tether, sys.executable, *command], cwd=ROOT, env=self._environment(settings),
                process_group=0, pass_fds=pass_fds, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip

    def flask(self, *arguments: str) -> str:
        """Run a `flask` command to its end and return what it printed."""
        command = [sys.executable, "-m", "flask", *arguments]
        return subprocess.run(
            command, cwd=ROOT, env=self._environment({}), check=True, stdout=subprocess.PIPE, text=True
        ).stdout

    def web_processes(self) -> list[int]:
        """The ids of gunicorn's worker processes."""
        assert self.web is not None
        return children(self.web.pid)

    def answers(self, within_seconds: float = 5) -> bool:
        """Whether the service takes requests now."""
        try:
            return Client(self.port, timeout=within_seconds).get("/v1/health").status == 200
        except LOST:
            return False

    def log(self) -> str:
        """What all processes have said."""
        path = self.folder / "log"
        return path.read_text(errors="replace") if path.exists() else ""

    def _environment(self, settings: dict[str, str]) -> dict[str, str]:
        # Nothing of the developer's own settings may reach in.
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        return kept | {"PYTHON_DOTENV_DISABLED": "1", "PYTHONUNBUFFERED": "1"} | self.settings | settings

    def _runs(self, process: subprocess.Popen) -> bool:
        assert process.poll() is None, f"A process ended at its start:\n{self.log()}"
        return True

    # Who is there

    def organization(self, name: str, plan: str = "self_hosted") -> Client:
        """A new organization's reviewer with the scope `write`."""
        token = self.flask("org", "create", name, "--plan", plan).split()[-1]
        return Client(self.port, Authorization=f"Bearer {token}")

    def candidate(self, key: str) -> Client:
        return Client(self.port, **{"X-API-Key": key})

    @property
    def anonymous(self) -> Client:
        return Client(self.port)

    # The database, past the service

    def execute(self, statement: str, *values: Any) -> list[tuple]:
        """Run one statement (`%s` for a value) in a transaction of its own; returns its rows, if it has any."""
        with closing(self.connect()) as connection, connection:
            cursor = connection.cursor()
            cursor.execute(statement if self.is_postgres else statement.replace("%s", "?"), values)
            return cursor.fetchall() if cursor.description else []

    def id(self, text: str) -> str:
        """An id of the API as the database keeps it: SQLite without dashes."""
        return text if self.is_postgres else text.replace("-", "")

    def moment(self, seconds_ago: float) -> Any:
        """A moment in the past as the database keeps it."""
        moment = datetime.now(UTC) - timedelta(seconds=seconds_ago)
        return (
            moment if self.is_postgres else moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        )

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


def ended(process: subprocess.Popen) -> int:
    """Ask the process to stop, and wait until it has; returns its exit status."""
    if process.poll() is None:
        process.terminate()
    try:
        return process.wait(PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        raise


def children(pid: int) -> list[int]:
    """The ids of a process's children, as Linux tells them."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def is_running(pid: int) -> bool:
    """Whether there is such a process that has not ended; one that nobody has waited for has."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def wait_until(condition: Callable[[], Any], failure: str, seconds: float = PATIENCE_SECONDS) -> Any:
    """Look again and again until the condition holds, and return what it returned."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, failure
        time.sleep(GLANCE_SECONDS)
    return found
