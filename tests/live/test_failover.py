"""Another server takes the database's place: 503 meanwhile, then every process finds it by itself."""

import threading

import postgres
import pytest
from flask import Flask

import errors
import models
from tests.live.cast import ASSESSMENT
from tests.live.client import Load
from tests.live.service import Service, wait_until
from tests.live.standby import Standby, both
from tests.live.test_database_away import Busy, assert_unavailable, assert_worker_delivers
from web import error_handlers

READ_ONLY = "ALTER SYSTEM SET default_transaction_read_only = {}"
RELOAD = "SELECT pg_reload_conf()"


@pytest.fixture
def primary():
    with postgres.start(tcp=True) as server:
        if not server.can_restart:
            pytest.skip("The server that TEST_DATABASE_URL names cannot be given a standby from here.")
        yield server


@pytest.fixture
def standby(primary):
    primary.create_database("proofstone")
    with Standby(primary) as standby:
        yield standby


def turn_read_only(server, switch="on"):
    # Not as a transaction's, which would be refused once it is on.
    server.query(READ_ONLY.format(switch))
    server.query(RELOAD)


def leave(server):
    """Stop as an administrator would: the standby has everything first."""
    server.leave()


@pytest.mark.slow
@pytest.mark.parametrize("go", [turn_read_only, leave])
def test_a_standby_takes_over_under_load_and_nothing_acknowledged_is_lost(primary, standby, tmp_path, go):
    with Service(tmp_path, both(primary, standby, "proofstone")).start(processes=2) as service:
        busy = Busy(service)
        with service.worker(), Load(busy.calls()):
            busy.work_well()
            go(primary)
            wait_until(lambda: busy.refusals(), "Nothing is refused.")
            if go is turn_read_only:
                standby.wait_until_level()
            standby.promote()
            busy.work_well()
            assert_worker_delivers(busy)
        for _, _, answer in busy.refusals():
            assert_unavailable(answer)
        busy.assert_nothing_acknowledged_is_lost()


@pytest.mark.slow
def test_a_server_that_only_reads_for_a_while_is_503_for_writers_alone(primary, tmp_path):
    with Service(tmp_path, primary.create_database("proofstone")).start(processes=1) as service:
        reviewer = service.organization("Acme")
        turn_read_only(primary)
        # Its processes hear of it one after the other.
        assert_unavailable(wait_until(lambda: refused(reviewer), "Nothing is refused."))
        assert reviewer.get("/v1/assessments").status == 200
        turn_read_only(primary, "off")
        wait_until(lambda: reviewer.post("/v1/assessments", ASSESSMENT).status == 201, "It writes no more.")
        assert "Traceback" not in service.log()


def refused(reviewer):
    answer = reviewer.post("/v1/assessments", ASSESSMENT)
    return answer if answer.status != 201 else None


# What the driver raises, for real


@pytest.fixture
def bound(postgres_server, request):
    """The models on a PostgreSQL with a table for these tests, without a transaction around them."""
    before = models.db.obj
    url = postgres_server.create_database("proofstone_states")
    models.bind(url)
    models.db.execute_sql("CREATE TABLE places (id int primary key, taken int)")
    models.db.execute_sql("INSERT INTO places VALUES (1, 0), (2, 0)")
    yield models.db
    models.db.close_all()
    if before is not None:
        models.db.initialize(before)
    postgres_server.drop_database("proofstone_states")


def take(place):
    models.db.execute_sql("UPDATE places SET taken = taken + 1 WHERE id = %s", (place,))


def failure_of(bound, work):
    """What the work raises in a transaction; None if nothing."""
    try:
        with bound.atomic():
            work()
    except Exception as failure:
        return failure
    return None


def test_of_two_transactions_that_wait_for_each_other_one_is_told_to_come_again(bound):
    met, failures = threading.Barrier(2), []

    def work(first, second):
        take(first)
        met.wait(30)
        take(second)

    def transaction(*places):
        failures.append(failure_of(bound, lambda: work(*places)))
        bound.close()

    threads = [threading.Thread(target=transaction, args=places) for places in ((1, 2), (2, 1))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (failure,) = filter(None, failures)
    assert errors.sqlstate(failure) == "40P01"
    assert errors.refusal_for(failure) is errors.Busy


def test_a_connection_that_is_cut_in_a_transaction_means_that_the_database_is_away(bound):
    def work():
        take(1)
        other = threading.Thread(target=end_backend, args=(backend(),))
        other.start()
        other.join()
        take(2)

    assert errors.refusal_for(failure_of(bound, work)) is errors.Unavailable
    bound.close()
    # The next one has a connection that works, and nothing of the broken transaction is there.
    assert bound.execute_sql("SELECT sum(taken) FROM places").fetchone() == (0,)


def end_backend(pid):
    models.db.execute_sql("SELECT pg_terminate_backend(%s, 5000)", (pid,))
    models.db.close()


def test_after_a_write_to_a_server_that_only_reads_no_connection_is_used_again(bound):
    before = backend()

    def work():
        bound.execute_sql("SET TRANSACTION READ ONLY")
        take(1)

    assert errors.refusal_for(failure_of(bound, work)) is errors.Unavailable
    bound.close()
    assert backend() != before


def backend():
    return models.db.execute_sql("SELECT pg_backend_pid()").fetchone()[0]


def test_a_fault_of_ours_is_not_taken_for_one_of_the_database(bound):
    failure = failure_of(bound, lambda: bound.execute_sql("SELECT nothing FROM nowhere"))
    assert errors.refusal_for(failure) is None
    app = Flask("faulty")
    error_handlers.register(app)

    @app.get("/")
    def ask():
        raise failure

    assert app.test_client().get("/").status_code == 500
