"""Documentation of errors, and errors of the database: an error where a retry helps, else a 500."""

import re
from pathlib import Path

import pytest
from response_checks import error_of

import errors
from models import Assessment, db
from models.base import is_postgres
from ops import readiness

ERRORS = (Path(__file__).parents[1] / "docs" / "errors.md").read_text(encoding="utf-8")
NEW = {"title": "Backend API Challenge", "role": "Senior Backend Engineer", "taskBrief": "x" * 50_000}
FULL = """
CREATE FUNCTION no_room() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'could not extend file' USING ERRCODE = 'disk_full'; END $$;
CREATE TRIGGER no_room BEFORE INSERT ON assessments EXECUTE FUNCTION no_room();
"""


def every_code():
    """Status and code of each error, except those of the model proxies."""
    yield None, "http_error"
    yield from ((status, code) for status, (code, _) in errors.HTTP_ERRORS.items())
    for error_class in subclasses(errors.ApiError):
        if not error_class.__module__.startswith("proxy."):
            codes = getattr(error_class, "SENTENCES", {error_class.reason: ""})
            yield from ((error_class.code, code) for code in codes)


def subclasses(parent):
    for child in parent.__subclasses__():
        yield from (child, *subclasses(child))


def test_every_code_is_documented_with_cause_and_remedy():
    """docs/errors.md, which the header Link of each error refers to."""
    documented = {}
    for section in ERRORS.split("\n## ")[1:]:
        status = int(section[:3]) if section[:3].isdigit() else None
        for code, text in re.findall(r"^### (\w+)\n(.*?)(?=\n### |\Z)", section, re.DOTALL | re.MULTILINE):
            documented[status, code] = text
    missing = set(every_code()) - documented.keys()
    assert missing == set(), "Add a section to docs/errors.md."
    for code, text in documented.items():
        assert len(re.findall(r"\.(?=\s)", text)) >= 2, (
            f"{code}: write a sentence on the cause, one on the remedy."
        )


@pytest.fixture
def full_database(app):
    """No room for a new row: SQLite's file may not grow, and a trigger on PostgreSQL raises the error."""
    if is_postgres():
        db.execute_sql(FULL)
        yield
        return
    db.execute_sql("PRAGMA max_page_count = 1")
    yield
    # SQLite has ended the test's transaction, which the fixture `app` is going to roll back.
    db.execute_sql("BEGIN")
    db.execute_sql("PRAGMA max_page_count = 1073741823")


def test_a_full_database_is_reported_with_a_time_to_retry(reviewer, full_database):
    response = reviewer.post("/v1/assessments", NEW)
    assert error_of(response) == ((503, "database_full") if is_postgres() else (507, "disk_full"))
    assert int(response.headers["Retry-After"]) > 0
    if not is_postgres():
        assert Assessment.select().count() == 0


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("is_upgraded", [False, True])
def test_a_missing_table_is_503_before_an_upgrade_and_500_after_it(
    app, reviewer, monkeypatch, caplog, is_upgraded
):
    monkeypatch.setitem(app.extensions, "readiness", readiness.Readiness(app.extensions["storage"]))
    db.execute_sql("ALTER TABLE assessments RENAME TO elsewhere")
    if not is_upgraded:
        db.execute_sql("DELETE FROM migrations")
    response = reviewer.post("/v1/assessments", NEW)
    if is_upgraded:
        assert error_of(response) == (500, "internal_error")
        assert "Retry-After" not in response.headers
        assert "Exception on /v1/assessments" in caplog.text
    else:
        assert error_of(response) == (503, "not_ready")
        assert response.json["parts"]["migrations"] == "behind"


def test_a_row_deleted_during_the_request_is_404(candidate, key, monkeypatch):
    def delete_meanwhile(key, session):
        raise Assessment.DoesNotExist

    monkeypatch.setattr("models.privacy.stored_data", delete_meanwhile)
    assert error_of(candidate.get("/v1/candidate/me")) == (404, "not_found")
