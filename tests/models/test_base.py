"""What waits for the next statement arrives with it, or not at all; and what is read together is of one moment."""

import sqlite3
import threading
from contextlib import closing

import peewee
import pytest
from factories import make_organization
from statements import counted

from models import DailyTask, FeedEvent, db
from models.base import LOCK_SECONDS, insert_new_rows, insert_rows, is_postgres, snapshot


class Undone(Exception):
    pass


@pytest.fixture
def row(organization):
    return {"organization": organization.id, "type": "told", "data": {"word": '50 % "quoted" \\ \u00e4\n'}}


def kinds():
    return [row.type for row in FeedEvent.select().order_by(FeedEvent.id)]


def begin_and_give_up(row):
    with db.atomic():
        insert_rows(FeedEvent, [row])
        raise Undone


def test_rows_are_there_for_whoever_asks_next(row):
    with db.atomic():
        insert_rows(FeedEvent, [row, row])
        assert kinds() == ["told", "told"]
    (first, _) = FeedEvent.select()
    assert (first.data, first.position) == (row["data"], None)
    assert first.created_at is not None


def test_what_rows_have_in_common_is_given_once(row):
    data = row.pop("data")
    insert_rows(FeedEvent, [{"data": data}, {"data": [data]}], **row)
    found = list(FeedEvent.select().order_by(FeedEvent.id))
    assert [each.data for each in found] == [data, [data]]
    assert {(each.type, each.organization_id) for each in found} == {("told", row["organization"])}


def test_without_rows_nothing_is_sent():
    with counted() as statements:
        insert_rows(FeedEvent, [])
        assert insert_new_rows(FeedEvent, [], FeedEvent.id) == 0
    assert statements == []


def test_what_waits_when_a_part_is_undone_is_undone_with_it(row):
    insert_rows(FeedEvent, [row | {"type": "before"}])
    with pytest.raises(Undone):
        begin_and_give_up(row | {"type": "inside"})
    insert_rows(FeedEvent, [row | {"type": "after"}])
    assert kinds() == ["before", "after"]


def test_what_fails_on_its_way_undoes_the_part_around_it(row, organization):
    with pytest.raises(peewee.IntegrityError), db.atomic():
        insert_rows(FeedEvent, [row | {"position": 1}, row | {"position": 1}])
    assert kinds() == []
    make_organization("The connection can be used")


def test_a_transaction_of_inserts_that_wait_is_kept(app_on_database):
    name = "waited for the end alone"
    with db.connection_context():
        with db.atomic():
            insert_rows(DailyTask, [{"name": name, "day": ""}])
        assert DailyTask.delete().where(DailyTask.name == name).execute() == 1


def test_a_beginning_and_inserts_travel_with_the_statement_after_them(row):
    if not is_postgres():
        pytest.skip("SQLite is in the process and has no round trips.")
    with counted() as statements:
        insert_rows(FeedEvent, [row])
        insert_rows(FeedEvent, [row])
        FeedEvent.select().count()
    assert len(statements) == 1


def test_a_transaction_connects_where_nobody_has(app_on_database):
    assert db.is_closed()
    with db.atomic():
        assert FeedEvent.select().count() == 0
    with db.atomic():
        pass  # nothing to send, and nothing that waits for the next one
    with pytest.raises(Undone), db.atomic():
        raise Undone
    assert not db.in_transaction()
    db.close()


def test_what_is_read_together_is_of_one_moment_and_keeps_nobody_from_writing(app_on_database):
    with db.connection_context(), snapshot():
        if is_postgres():
            assert db.execute_sql("SHOW transaction_isolation").fetchone() == ("repeatable read",)
            return
        FeedEvent.select().count()
        with closing(sqlite3.connect(db.obj.database, timeout=0)) as other:
            other.execute("BEGIN IMMEDIATE")
            other.rollback()


def test_on_sqlite_the_threads_of_a_process_write_in_turn(app_on_database):
    """Who waits is woken by whoever is done, and need not ask SQLite again and again."""
    if is_postgres():
        pytest.skip("PostgreSQL has locks for rows.")
    done = []

    def write():
        with db.connection_context():
            # Out of turn SQLite would say at once that it is locked.
            db.pragma("busy_timeout", 0)
            try:
                with db.atomic():
                    done.append("second")
            finally:
                db.pragma("busy_timeout", LOCK_SECONDS * 1000)

    writer = threading.Thread(target=write)
    with db.connection_context(), db.atomic():
        writer.start()
        writer.join(0.2)
        done.append("first")
    writer.join()
    assert done == ["first", "second"]
