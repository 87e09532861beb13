"""Transactions, locks and snapshots on both databases."""

import sqlite3
import threading
from contextlib import closing

import peewee
import pytest
from conftest import LEDGER_KEYS, WORKER

import config
import database_errors
import errors
from app import create_app
from models import CandidateKey, FeedEvent, database, db, sql
from models.base import is_postgres
from models.database import LOCK_TIMEOUT_SECONDS, snapshot


class RolledBackError(Exception):
    pass


def test_transactions_open_a_connection(app_on_database):
    assert db.is_closed()
    with db.atomic():
        assert FeedEvent.select().count() == 0
    with pytest.raises(RolledBackError), db.atomic():
        raise RolledBackError
    assert not db.in_transaction()
    db.close()


def test_snapshots_see_one_state_and_do_not_block_writers(app_on_database):
    with db.connection_context(), snapshot():
        if is_postgres():
            assert db.execute_sql("SHOW transaction_isolation").fetchone() == ("repeatable read",)
            return
        FeedEvent.select().count()
        with closing(sqlite3.connect(db.obj.database, timeout=0)) as other:
            other.execute("BEGIN IMMEDIATE")
            other.rollback()


@pytest.mark.parametrize("prepares", [True, False])
def test_postgresql_prepares_a_frequent_statement_once_per_connection_unless_disabled(
    app_on_database, monkeypatch, prepares
):
    if not is_postgres():
        pytest.skip("SQLite's driver prepares all statements.")
    monkeypatch.setattr(db.obj, "prepares", prepares)
    with db.connection_context():
        db.execute_sql("DEALLOCATE ALL")
        db.connection().commands.clear()
        for text in ("PST-AAAA-AAAA", "PST-BBBB-BBBB"):
            assert CandidateKey.find(text) is None
        assert db.execute_sql("SELECT count(*) FROM pg_prepared_statements").fetchone() == (int(prepares),)


def test_prepared_statement_works_again_after_a_migration_changed_a_type(app_on_database):
    if not is_postgres():
        pytest.skip("SQLite's driver prepares statements again.")
    text = "SELECT a.number FROM numbers a WHERE a.number = :number"
    with db.connection_context():
        db.execute_sql("CREATE TABLE numbers AS SELECT 1 AS number")
        assert sql.rows(sql.prepare(text), number=1) == [(1,)]
        db.execute_sql("ALTER TABLE numbers ALTER number TYPE bigint")
        with pytest.raises(peewee.DatabaseError) as error:
            sql.rows(sql.prepare(text), number=1)
        assert database_errors.error_for(error.value) is errors.Unavailable
    with db.connection_context():
        assert sql.rows(sql.prepare(text), number=1) == [(1,)]
        db.execute_sql("DROP TABLE numbers")


def test_names_are_sorted_alike_in_every_locale(app_on_database):
    if not is_postgres():
        pytest.skip("SQLite always compares code points.")
    column = "table_name = 'candidate_keys' AND column_name = 'sort_name'"
    query = f"SELECT collation_name FROM information_schema.columns WHERE {column}"
    with db.connection_context():
        assert db.execute_sql(query).fetchall() == [("C",)]


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1"])
def test_a_database_of_another_encoding_is_rejected(postgres_server, tmp_path, monkeypatch, encoding):
    monkeypatch.setattr(database, "RECONNECT_TIMEOUT_SECONDS", 0)
    name = f"proofstone_{encoding.lower()}_{WORKER}"
    options = f"ENCODING '{encoding}' LOCALE 'C' LOCALE_PROVIDER libc TEMPLATE template0"
    postgres_server.drop_database(name)
    postgres_server.query(f"CREATE DATABASE {{}} {options}", name)
    connection = db.obj
    folders = {"BUNDLE_FOLDER": str(tmp_path / "bundles"), "MAIL_FOLDER": str(tmp_path / "mail")}
    app = create_app(
        config.load({"DATABASE_URL": postgres_server.url(name), "LEDGER_KEYS": LEDGER_KEYS, **folders})
    )
    message = (
        f"The database's encoding is {encoding}; it must be UTF8. "
        "Create it with `createdb --encoding=UTF8 --template=template0`."
    )
    try:
        upgrade = app.test_cli_runner().invoke(args=["db", "upgrade"])
        assert (upgrade.exit_code, upgrade.output) == (1, f"Error: {message}\n")
        assert f"error   database: {message}\n" in app.test_cli_runner().invoke(args=["doctor"]).output
        assert app.test_client().get("/v1/ready").json["parts"]["database"] == "unavailable"
        assert app.test_client().get("/v1/me", headers={"X-API-Key": "PST-AAAA-AAAA"}).status_code == 503
    finally:
        db.initialize(connection)
        postgres_server.drop_database(name)


def test_text_is_stored_whatever_the_encoding_in_the_environment(app_on_database, monkeypatch):
    db.close_idle()
    monkeypatch.setenv("PGCLIENTENCODING", "LATIN1")
    with db.connection_context():
        assert db.execute_sql(f"SELECT {db.param}", ("日本語",)).fetchone() == ("日本語",)


def test_threads_write_one_at_a_time_on_sqlite(app_on_database):
    if is_postgres():
        pytest.skip("PostgreSQL locks rows.")
    order = []

    def write():
        with db.connection_context():
            # Without SQLite's waiting, only the process's own lock can wait.
            db.pragma("busy_timeout", 0)
            try:
                with db.atomic():
                    order.append("second")
            finally:
                db.pragma("busy_timeout", LOCK_TIMEOUT_SECONDS * 1000)

    writer = threading.Thread(target=write)
    with db.connection_context(), db.atomic():
        writer.start()
        writer.join(0.2)
        order.append("first")
    writer.join()
    assert order == ["first", "second"]
