"""PgBouncer in transaction mode before the database: no session's state is needed, and nothing is left in one."""

import os
import shutil
import subprocess
from contextlib import closing, contextmanager

import postgres
import psycopg2
import pytest

import models
from models.database import process_lock
from tests.delivery.mail_server import free_port
from tests.live.cast import event, invite, make_assessment, start_session
from tests.live.client import run_concurrently
from tests.live.service import HOST, Service, stop_process, wait_until
from tools.scripts.run_with_parent import with_parent

CONNECTIONS = 2
EVENTS = 40
SETTINGS = """
[databases]
* = host=127.0.0.1 port={server} user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = {size}
"""
BACKENDS = "SELECT count(*) FROM pg_stat_activity WHERE datname = 'proofstone'"
LOCKS = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"


@pytest.fixture
def server():
    if not shutil.which("pgbouncer"):
        pytest.skip("PgBouncer is not installed.")
    with postgres.start(tcp=True) as server:
        if not server.can_restart:
            pytest.skip("The server that TEST_DATABASE_URL names may have other users.")
        server.create_database("proofstone")
        yield server


@pytest.fixture
def address(server, tmp_path):
    """The address of the database behind a PgBouncer that keeps few connections to it."""
    port = free_port()
    address = f"postgresql://postgres@{HOST}:{port}/proofstone"
    with bouncer(tmp_path, SETTINGS.format(server=server.port, port=port, size=CONNECTIONS)):
        wait_until(lambda: answers(address), "PgBouncer does not answer.")
        yield address


def answers(address):
    try:
        psycopg2.connect(address).close()
    except psycopg2.OperationalError:
        return False
    return True


@contextmanager
def bouncer(folder, settings):
    """It refuses to run as root, and whoever it runs as instead gets the settings through its standard input."""
    user = "nobody" if os.getuid() == 0 else "-"
    (folder / "pgbouncer.ini").write_text(settings)
    with open(folder / "pgbouncer.ini") as file, open(folder / "pgbouncer.log", "ab") as log:
        command = with_parent([shutil.which("pgbouncer"), "/dev/stdin"], user=user)
        process = subprocess.Popen(command, stdin=file, stdout=log, stderr=log, cwd="/")
    try:
        yield process
    finally:
        stop_process(process)


@pytest.fixture
def bound(address):
    """The models of this process, at that address."""
    before = models.db.obj
    yield models.bind(address)
    models.db.close_all()
    if before is not None:
        models.db.initialize(before)


@pytest.mark.slow
def test_what_one_process_does_alone_leaves_no_lock_behind(server, address, bound):
    with closing(psycopg2.connect(address)) as other:
        with process_lock("something"):
            # Its transaction gets the connection that was in use last, if that is free.
            other.cursor().execute("SELECT 1")
        assert server.query(LOCKS) == [(0,)]


@pytest.mark.slow
def test_upgrades_at_the_same_moment_all_succeed_and_one_does_the_work(address, tmp_path):
    service = Service(tmp_path, address)
    said = run_concurrently([lambda: service.flask("db", "upgrade")] * 4)
    assert said.count("Nothing to apply.\n") == 3


@pytest.mark.slow
def test_many_threads_share_few_connections(server, address, tmp_path):
    with Service(tmp_path, address).start(processes=2) as service, service.worker():
        reviewer = service.organization("Acme")
        assessment = make_assessment(reviewer)
        keys = invite(reviewer, assessment, *[f"c{number}@example.com" for number in range(8)])["keys"]
        candidates = [(service.candidate(key["key"]), start_session(service, key["key"])) for key in keys]
        run_concurrently([lambda it=it: work(*it) for it in candidates])
        shown = [reviewer.get(f"/v1/sessions/{session}")["eventCount"] for _, session in candidates]
        assert shown == [EVENTS] * len(candidates)
        wait_until(lambda: all_sent(reviewer), "The invitations are not sent.")
        assert server.query(BACKENDS)[0][0] <= CONNECTIONS


def work(candidate, session):
    """Send events and complete."""
    for second in range(EVENTS):
        assert candidate.post("/v1/hooks/ingest", event(second=second)).status == 201
    body = {"key": candidate.headers["X-API-Key"], "sessionId": session}
    assert candidate.post("/v1/candidate/complete", body).status == 200


def all_sent(reviewer):
    return reviewer.get("/v1/deliveries?state=queued")["total"] == 0
