"""Database outages and failovers cause 503s, and no process needs a restart afterwards."""

import threading
import time
from contextlib import ExitStack, closing

import peewee
import pytest
from postgres import EmbeddedServer

import database_errors
import errors
import models
from tests.live.cast import ASSESSMENT, make_assessment
from tests.live.client import Load, run_concurrently
from tests.live.load import Callers, assert_unavailable
from tests.live.service import Service, wait_until
from tests.live.standby import Standby


@pytest.fixture
def own_service(own_server, tmp_path):
    with Service(tmp_path, own_server.create_database("proofstone")).start(processes=2) as service:
        yield service


def test_requests_are_503_during_an_outage_and_succeed_after_it(own_service, own_server):
    callers = Callers(own_service)
    with own_service.worker(), Load(callers.calls):
        callers.wait_for_successes()
        before = time.monotonic()
        own_server.kill()
        # Requests first wait some seconds for a restart.
        wait_until(
            lambda: sum(request.ended_at - request.started_at < 0.5 for request in callers.rejected) > 20,
            "Requests were not rejected immediately.",
        )
        assert callers.reviewer.get("/v1/health").status == 200
        own_server.start()
        after = time.monotonic()
        callers.wait_for_successes()
        callers.assert_worker_delivers()
    callers.assert_rejected_with_503_and_nothing_lost()
    assert all(request.started_at < after and request.ended_at > before for request in callers.rejected)


def test_the_service_is_not_ready_until_the_database_is_back(own_service, own_server):
    def readiness():
        return own_service.anonymous.get("/v1/ready")

    assert readiness().status == 200
    own_server.kill()
    wait_until(lambda: readiness().status == 503, "The service is still ready.")
    response = readiness()
    assert response["parts"] == {"database": "unavailable", "migrations": "unknown", "storage": "ok"}
    assert int(response.headers["Retry-After"]) > 0
    assert "\nerror   database: " in own_service.flask("doctor", status=1)
    own_server.start()
    wait_until(lambda: readiness().status == 200, "The service did not get ready.")


def test_writes_are_503_during_another_programs_lock_on_the_sqlite_file(tmp_path):
    with Service(tmp_path).start() as service:
        reviewer = service.organization("Acme")
        assessment = make_assessment(reviewer)
        with closing(service.connect()) as connection:
            connection.execute("BEGIN IMMEDIATE")
            assert_unavailable(reviewer.post("/v1/assessments", ASSESSMENT))
            # Readers do not wait for writers.
            assert reviewer.get(f"/v1/assessments/{assessment['id']}").status == 200
            connection.rollback()
        assert reviewer.post("/v1/assessments", ASSESSMENT).status == 201
        assert len(reviewer.get("/v1/assessments")["assessments"]) == 2


# Failover to another server (docs/failover.md)


def set_read_only(server, is_read_only=True):
    # Outside a transaction, because a read-only server rejects a transaction.
    server.query(f"ALTER SYSTEM SET default_transaction_read_only = {is_read_only}")
    server.query("SELECT pg_reload_conf()")


def wait_for_writers(server):
    """Wait until the transactions that began before `set_read_only` have ended."""
    # All existing processes get the reload signal before the server starts a new one.
    setting = "SHOW default_transaction_read_only"
    wait_until(lambda: server.query(setting) == [("on",)], "The setting was not reloaded.")
    ((now,),) = server.query("SELECT clock_timestamp()")
    earlier = f"SELECT 1 FROM pg_stat_activity WHERE backend_type = 'client backend' AND xact_start < '{now}'"
    wait_until(lambda: not server.query(earlier), "A transaction did not end.")


@pytest.mark.parametrize("stop", [set_read_only, EmbeddedServer.shut_down], ids=["read-only", "shut down"])
def test_a_failover_under_load_loses_no_acknowledged_write(own_server, tmp_path, stop):
    own_server.create_database("proofstone")
    with Standby(own_server) as standby:
        url = standby.url_of_both("proofstone")
        with Service(tmp_path, url).start(processes=2) as service:
            callers = Callers(service)
            with service.worker(), Load(callers.calls):
                callers.wait_for_successes()
                stop(own_server)
                wait_until(lambda: callers.rejected, "No request was rejected.")
                if stop is set_read_only:
                    wait_for_writers(own_server)
                    standby.wait_until_synchronized()
                standby.promote()
                callers.wait_for_successes()
                callers.assert_worker_delivers()
            callers.assert_rejected_with_503_and_nothing_lost()


def test_a_read_only_server_only_rejects_writes(own_server, tmp_path):
    with Service(tmp_path, own_server.create_database("proofstone")).start(processes=1) as service:
        reviewer = service.organization("Acme")

        def create():
            return reviewer.post("/v1/assessments", ASSESSMENT)

        set_read_only(own_server)
        # The server's processes reload the setting one by one.
        wait_until(lambda: create().status == 503, "No request was rejected.")
        assert_unavailable(create())
        assert reviewer.get("/v1/assessments").status == 200
        set_read_only(own_server, False)
        wait_until(lambda: create().status == 201, "The service did not recover.")
        assert "Traceback" not in service.log()


# The driver's errors


@pytest.fixture
def database(postgres_server, bind):
    """A PostgreSQL database with a table of two counters, without a surrounding transaction."""
    bind(postgres_server.create_database("proofstone_errors"))
    models.db.execute_sql("CREATE TABLE counters AS SELECT id, 0 AS value FROM generate_series(1, 2) id")
    yield models.db
    models.db.close_all()
    postgres_server.drop_database("proofstone_errors")


def increment(counter):
    models.db.execute_sql("UPDATE counters SET value = value + 1 WHERE id = %s", (counter,))


def backend_id():
    return models.db.execute_sql("SELECT pg_backend_pid()").fetchone()[0]


def test_a_deadlock_is_reported_as_busy(database):
    both_locked, raised = threading.Barrier(2), []

    def increment_both(first, second):
        try:
            with database.atomic():
                increment(first)
                both_locked.wait(30)
                increment(second)
        except peewee.OperationalError as error:
            raised.append(error)
        database.close()

    run_concurrently([lambda: increment_both(1, 2), lambda: increment_both(2, 1)])
    assert [(database_errors.sqlstate(error), database_errors.error_for(error)) for error in raised] == [
        ("40P01", errors.Busy)
    ]
    remedy = "Another process locked the same rows. Run the command again."
    assert database_errors.describe_for_operator(raised[0]) == f"deadlock detected. {remedy}"


def test_too_many_connections_are_reported_to_the_operator(own_server, tmp_path):
    service = Service(tmp_path, own_server.create_database("proofstone"))
    own_server.options += ["-c", "max_connections=4", "-c", "superuser_reserved_connections=0"]
    own_server.restart()
    with ExitStack() as connections:
        for _ in range(4):
            connections.enter_context(closing(service.connect()))
        for command in ("db upgrade", "doctor"):
            service.spawn(["-m", "flask", *command.split()]).wait(60)
    remedy = "Stop processes, lower DATABASE_POOL or raise PostgreSQL's max_connections (docs/scaling.md)."
    assert service.log().count(f"sorry, too many clients already. {remedy}") == 2
    assert "Check DATABASE_URL" not in service.log()


def test_a_connection_to_a_read_only_server_is_not_reused(database):
    backend = backend_id()

    def write():
        with database.atomic():
            database.execute_sql("SET TRANSACTION READ ONLY")
            increment(1)

    with pytest.raises(peewee.InternalError) as raised:
        write()
    assert database_errors.error_for(raised.value) is errors.Unavailable
    database.close()
    assert backend_id() != backend
