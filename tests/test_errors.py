"""Documented error codes, and responses to database errors."""

import re
from datetime import timedelta
from pathlib import Path

import pytest
from response_checks import body_of, error_of

import errors
from models import Assessment, db
from models.base import is_postgres
from ops import readiness
from tests.hostile.operations import HAS_INTEGRATIONS

ERRORS = (Path(__file__).parents[1] / "docs" / "errors.md").read_text(encoding="utf-8")
NEW = {"title": "Backend API Challenge", "role": "Senior Backend Engineer", "taskBrief": "x" * 50_000}
# Codes of an optional package
INTEGRATIONS = {
    (409, "duplicate_rule"),
    (403, "invalid_signature"),
    (409, "no_integration_keys"),
    (502, "system_failed"),
}
DISK_FULL_TRIGGER = """
CREATE FUNCTION fail_disk_full() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'could not extend file' USING ERRCODE = 'disk_full'; END $$;
CREATE TRIGGER fail_disk_full BEFORE INSERT ON assessments EXECUTE FUNCTION fail_disk_full();
"""


def every_code():
    """Yield the status and code of each error, except the model proxies'."""
    yield None, errors.OTHER_HTTP_ERROR
    for status, (code, _) in errors.HTTP_ERRORS.items():
        if code != errors.OTHER_HTTP_ERROR:
            yield status, code
    for error_class in subclasses(errors.ApiError):
        if not error_class.__module__.startswith("proxy."):
            codes = getattr(error_class, "MESSAGES", {error_class.reason: ""})
            yield from ((error_class.code, code) for code in codes)


def subclasses(parent):
    for child in parent.__subclasses__():
        yield from (child, *subclasses(child))


def test_every_code_is_documented_with_cause_and_remedy():
    documented = {}
    for section in ERRORS.split("\n## ")[1:]:
        status = int(section[:3]) if section[:3].isdigit() else None
        for code, text in re.findall(r"^### (\w+)\n(.*?)(?=\n### |\Z)", section, re.DOTALL | re.MULTILINE):
            documented[status, code] = text
    codes = set(every_code()) | (set() if HAS_INTEGRATIONS else INTEGRATIONS)
    assert codes == documented.keys(), "Add, rename or delete these sections in docs/errors.md."
    for code, text in documented.items():
        sentences = len(re.findall(r"\.(?=\s)", text))
        assert sentences >= 2, f"{code}: describe the cause and the remedy in docs/errors.md."


@pytest.fixture
def full_database(app):
    """A database without space for a new row: SQLite's file cannot grow, and PostgreSQL's trigger raises the error."""
    if is_postgres():
        db.execute_sql(DISK_FULL_TRIGGER)
        yield
        return
    db.execute_sql("PRAGMA max_page_count = 1")
    yield
    # SQLite has ended the transaction that the `app` fixture will roll back.
    db.execute_sql("BEGIN")
    db.execute_sql("PRAGMA max_page_count = 1073741823")


def test_a_full_database_is_reported_with_retry_after(reviewer, full_database):
    response = reviewer.post("/v1/assessments", NEW)
    assert error_of(response) == ((503, "database_full") if is_postgres() else (507, "disk_full"))
    assert int(response.headers["Retry-After"]) > 0
    if not is_postgres():
        assert Assessment.select().count() == 0


@pytest.fixture
def read_only_database(app):
    db.execute_sql("SET TRANSACTION READ ONLY" if is_postgres() else "PRAGMA query_only = 1")
    yield
    if not is_postgres():
        db.execute_sql("PRAGMA query_only = 0")


def test_only_reads_succeed_in_a_read_only_database(reviewer, candidate, key, clock, read_only_database):
    clock.fixed += timedelta(hours=1)
    body_of(candidate.get(f"/v1/assessments/{key.assessment_id}"))
    body_of(reviewer.get("/v1/candidates"))
    assert error_of(reviewer.post("/v1/assessments", NEW)) == (503, "unavailable")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("is_upgraded", [False, True])
@pytest.mark.bypasses_ledger
def test_a_missing_table_is_503_before_an_upgrade_and_500_after(
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


def test_a_row_deleted_during_the_request_is_404(reviewer, assessment, monkeypatch):
    def find_deleted(model, row_id):
        raise Assessment.DoesNotExist

    monkeypatch.setattr("blueprints.assessments.find", find_deleted)
    assert error_of(reviewer.get(f"/v1/assessments/{assessment.id}")) == (404, "not_found")
