"""What an error of the database becomes: a refusal where it can be done later, else an honest 500."""

import pytest
from answers import refusal

from models import Assessment, db
from models.base import is_postgres
from ops import readiness

NEW = {"title": "Backend API Challenge", "role": "Senior Backend Engineer", "taskBrief": "Fix it. " * 1000}
FULL = """
CREATE FUNCTION no_room() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'could not extend file' USING ERRCODE = 'disk_full'; END $$;
CREATE TRIGGER no_room BEFORE INSERT ON assessments EXECUTE FUNCTION no_room();
"""


@pytest.fixture
def without_room(app):
    """The database has no room for a new row: SQLite's file may not grow, PostgreSQL says so by itself."""
    if is_postgres():
        db.execute_sql(FULL)
        yield
        return
    db.execute_sql("PRAGMA max_page_count = 1")
    yield
    # SQLite has ended the test's transaction, which the fixture `app` is going to roll back.
    db.execute_sql("BEGIN")
    db.execute_sql("PRAGMA max_page_count = 1073741823")


def test_a_database_without_room_is_said_to_be_full(reviewer, without_room):
    answer = reviewer.post("/v1/assessments", NEW | {"taskBrief": "x" * 50_000})
    assert refusal(answer) == ((503, "database_full") if is_postgres() else (507, "disk_full"))
    assert int(answer.headers["Retry-After"]) > 0
    if not is_postgres():
        assert Assessment.select().count() == 0


@pytest.fixture
def seen_anew(app, monkeypatch):
    """Nothing is remembered of how the parts of the service stand."""
    monkeypatch.setitem(app.extensions, "readiness", readiness.Readiness(app.extensions["storage"]))


@pytest.mark.filterwarnings("ignore")
def test_a_database_that_was_not_upgraded_is_not_ready(reviewer, seen_anew):
    db.execute_sql("ALTER TABLE assessments RENAME TO elsewhere")
    db.execute_sql("DELETE FROM migrations")
    answer = reviewer.post("/v1/assessments", NEW)
    assert refusal(answer) == (503, "not_ready")
    assert answer.json["parts"]["migrations"] == "behind"


def test_what_goes_between_two_looks_is_not_found(candidate, key, monkeypatch):
    def delete_meanwhile(key, session):
        raise Assessment.DoesNotExist

    monkeypatch.setattr("models.privacy.stored_data", delete_meanwhile)
    assert refusal(candidate.get("/v1/candidate/me")) == (404, "not_found")


@pytest.mark.filterwarnings("ignore")
def test_a_mistake_in_a_statement_is_no_matter_of_waiting(reviewer, seen_anew, caplog):
    db.execute_sql("ALTER TABLE assessments RENAME TO elsewhere")
    answer = reviewer.post("/v1/assessments", NEW)
    assert refusal(answer) == (500, "internal_error")
    assert "Retry-After" not in answer.headers
    assert "Exception on /v1/assessments" in caplog.text
