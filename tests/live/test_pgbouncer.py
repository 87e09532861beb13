"""PgBouncer in transaction mode (docs/scaling.md).

Without prepared statements, the service neither needs nor leaves session state.
"""

import os
import shutil
import subprocess
from contextlib import closing

import psycopg2
import pytest

import migrations
from tests.live.cast import Candidate, event, invite, make_assessment
from tests.live.client import run_concurrently
from tests.live.service import HOST, Service, stop_process, wait_until
from tests.live.test_upgrade import NEXT_RELEASE
from tests.servers import free_port
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


@pytest.fixture
def url(own_server, tmp_path):
    """The URL of a database behind a PgBouncer with few connections."""
    if not shutil.which("pgbouncer"):
        pytest.skip("PgBouncer is not installed.")
    own_server.create_database("proofstone")
    port, file = free_port(), tmp_path / "pgbouncer.ini"
    file.write_text(SETTINGS.format(server=own_server.port, port=port, size=CONNECTIONS))
    # PgBouncer does not run as root. Another user cannot open the file, but can read it as standard input.
    user = "nobody" if os.getuid() == 0 else "-"
    command = with_parent([shutil.which("pgbouncer"), "/dev/stdin"], user=user)
    with open(file) as settings, open(tmp_path / "pgbouncer.log", "ab") as log:
        process = subprocess.Popen(command, stdin=settings, stdout=log, stderr=log, cwd="/")
    url = f"postgresql://postgres@{HOST}:{port}/proofstone"
    try:
        wait_until(lambda: can_connect(url), "PgBouncer did not respond.")
        yield url
    finally:
        stop_process(process)


def can_connect(url):
    try:
        psycopg2.connect(url).close()
    except psycopg2.OperationalError:
        return False
    return True


def test_concurrent_upgrades_leave_no_session_state(url, bind, monkeypatch, tmp_path):
    for folder in (migrations.FOLDER, NEXT_RELEASE):
        shutil.copytree(folder, tmp_path / "migrations", dirs_exist_ok=True)
    monkeypatch.setattr(migrations, "FOLDER", tmp_path / "migrations")
    bind(url)
    other, applied = sorted(run_concurrently([migrations.upgrade] * 2))
    assert (other, applied[-1]) == ([], "9003_assessment_language_index")
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('lock_timeout'), count(*) FROM upgrade_lease")
        assert cursor.fetchone() == ("0", 0)


def test_many_threads_share_few_connections(own_server, url, tmp_path):
    settings = {"DATABASE_PREPARED_STATEMENTS": "false"}
    with Service(tmp_path, url, **settings).start(processes=2) as service, service.worker():
        reviewer = service.organization("Acme")
        addresses = [f"candidate{number}@example.com" for number in range(8)]
        keys = invite(reviewer, make_assessment(reviewer), *addresses)["keys"]
        candidates = [Candidate(service, key) for key in keys]
        run_concurrently([lambda candidate=candidate: work(candidate) for candidate in candidates])
        sessions = [reviewer.get(f"/v1/sessions/{candidate.session_id}") for candidate in candidates]
        assert [session["eventCount"] for session in sessions] == [EVENTS] * len(candidates)
        queued = "/v1/deliveries?state=queued"
        wait_until(lambda: reviewer.get(queued)["total"] == 0, "The invitations were not sent.")
        backends = (
            "SELECT count(*) FROM pg_stat_activity WHERE usename IS NOT NULL AND datname = 'proofstone'"
        )
        assert own_server.query(backends)[0][0] <= CONNECTIONS


def test_prepared_statements_fail_and_the_log_names_the_setting(url, tmp_path):
    with Service(tmp_path, url).start(processes=2) as service:
        reviewer = service.organization("Acme")

        def responses():
            return run_concurrently([lambda: reviewer.request("GET", "/v1/assessments").status] * 8)

        wait_until(lambda: 503 in responses(), "No request failed.")
        assert set(responses()) <= {200, 503}
        assert "Set DATABASE_PREPARED_STATEMENTS=false" in service.log()


def work(candidate):
    for second in range(EVENTS):
        assert candidate.ingest(event(second=second)).status == 201
    assert candidate.complete().status == 200
