"""Fixtures. A test that uses `app` runs on both databases and is rolled back."""

import os
from datetime import UTC, datetime
from pathlib import Path

import factories
import hypothesis
import postgres
import pytest
from callers import Caller
from ledger_check import find_unrecorded

import config
import migrations
import models
from app import create_app
from delivery.worker import Worker

WORKER = os.environ.get("PYTEST_XDIST_WORKER", "main")
TESTS = Path(__file__).parent
LEDGER_KEYS = "test:a-key-that-only-these-tests-sign-with"
INTEGRATION_KEYS = "test:a-key-that-only-these-tests-encrypt-with"
MAX_ID = 100
# The same cases in each run, however long they take.
hypothesis.settings.register_profile(
    "same",
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("same")
# Modules that start processes or contain many cases. Quick runs skip them without importing them.
SLOW_MODULES = (
    *("agents/", "browser/", "clients/", "live/", "proxy/test_live", "proxy/test_load.py"),
    *("hostile/test_logs.py", "hostile/test_schemathesis.py", "hostile/test_sockets.py"),
)
QUICK_MODULES = ("live/test_concurrency.py", "live/test_idempotency.py")
# Tests that depend on the database. Quick runs include them on PostgreSQL: only the first case if parametrized.
ON_POSTGRESQL = (
    *QUICK_MODULES,
    "test_conventions.py",
    "test_lifecycle.py",
    "access/test_access.py::test_each_caller_gets_the_expected_status",
    "access/test_etags.py",
    "access/test_idempotency.py",
    "blueprints/test_cohort_stats.py",
    "blueprints/test_ingest.py",
    "blueprints/test_ingest_batch.py",
    "blueprints/test_keys.py",
    "blueprints/test_results.py",
    "models/test_database.py",
    "models/test_erasure.py::test_no_table_has_traces",
    "models/test_leases.py",
    "models/test_models.py",
    "models/test_recording.py",
    "models/test_rederive.py",
    "models/test_retention.py",
    "models/test_statements.py",
)


def relative_path(path):
    return path.relative_to(TESTS).as_posix()


def is_slow_module(path):
    is_module = path.name.startswith("test_") and path.suffix == ".py"
    name = relative_path(path)
    return is_module and name.startswith(SLOW_MODULES) and name not in QUICK_MODULES


def pytest_ignore_collect(collection_path, config):
    if config.option.markexpr != "not slow":
        return None
    folder = f"{relative_path(collection_path)}/"
    is_slow_folder = folder in SLOW_MODULES and not any(name.startswith(folder) for name in QUICK_MODULES)
    return is_slow_folder or is_slow_module(collection_path) or None


def pytest_make_parametrize_id(val, argname):
    """Name long values, which can be random, by their argument."""
    return argname if isinstance(val, str | bytes) and len(val) > MAX_ID else None


def pytest_collection_modifyitems(items):
    """Mark slow tests, including most tests on PostgreSQL."""
    with_quick_case = set()
    for item in items:
        parameters = item.callspec.params if hasattr(item, "callspec") else {}
        databases = (parameters.get("database_url"), parameters.get("live_database_url"))
        is_slow = is_slow_module(item.path) or item.get_closest_marker("slow")
        if "postgresql" in databases and not is_slow:
            test = item.nodeid.partition("[")[0]
            is_slow = test in with_quick_case or not test.removeprefix("tests/").startswith(ON_POSTGRESQL)
            with_quick_case.add(test)
        if is_slow:
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def postgres_server():
    with postgres.start() as server:
        yield server


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def database_url(request, tmp_path_factory):
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path_factory.mktemp('database')}/proofstone.db"
        return
    server = request.getfixturevalue("postgres_server")
    name = f"proofstone_test_{WORKER}"
    yield server.create_database(name)
    server.drop_database(name)


@pytest.fixture(scope="session")
def app_on_database(database_url, tmp_path_factory):
    settings = config.load(
        {
            "DATABASE_URL": database_url,
            "MAIL_FOLDER": str(tmp_path_factory.mktemp("email")),
            "BUNDLE_FOLDER": str(tmp_path_factory.mktemp("bundles")),
            "RATELIMIT_ENABLED": "false",
            "LOG_LEVEL": "ERROR",
            "LEDGER_KEYS": LEDGER_KEYS,
            "INTEGRATION_KEYS": INTEGRATION_KEYS,
        }
    )
    app = create_app(settings)
    app.testing = False  # Errors become responses, as in production.
    with app.app_context():
        migrations.upgrade()
        models.StorageMarker.adopt(app.extensions["storage"])
    models.db.close()
    yield app
    models.db.close()
    models.db.close_idle()


@pytest.fixture
def app(request, app_on_database):
    """The application; the test's changes are rolled back, after a check that none bypassed the ledger."""
    models.db.connect(reuse_if_open=True)
    models.ledger_keys.use(app_on_database.config["LEDGER_KEYS"])
    try:
        with models.db.atomic() as transaction:
            yield app_on_database
            if not request.node.get_closest_marker("bypasses_ledger"):
                assert find_unrecorded() == [], "Change these rows by the models' methods."
            transaction.rollback()
    finally:
        models.clock.fixed = None
        models.db.close()


@pytest.fixture
def app_with(app, database_url):
    """A function that creates applications with other settings, on the test's database connection."""

    def create(**settings):
        connection = models.db.obj
        secrets = {"LEDGER_KEYS": LEDGER_KEYS, "INTEGRATION_KEYS": INTEGRATION_KEYS}
        other_app = create_app(config.load({"DATABASE_URL": database_url} | secrets | settings))
        models.db.initialize(connection)
        return other_app

    return create


@pytest.fixture
def clock(app):
    """The service's clock, stopped at 2026-04-01 09:00 UTC. Advance it with `clock.fixed += ...`."""
    models.clock.fixed = datetime(2026, 4, 1, 9, tzinfo=UTC)
    return models.clock


@pytest.fixture
def worker(app, monkeypatch, tmp_path):
    """A worker that saves emails in a temporary folder."""
    monkeypatch.setitem(app.config, "MAIL_FOLDER", tmp_path)
    return Worker(app.config, optional_tasks=app.extensions.get("worker_tasks", ()))


@pytest.fixture
def emails(worker, tmp_path):
    """A function that reads the saved emails."""
    return lambda: [file.read_text() for file in sorted(tmp_path.rglob("*.eml"))]


@pytest.fixture
def organization(app):
    return factories.make_organization("Acme")


@pytest.fixture
def reviewer(app, organization):
    """A reviewer with write scope."""
    return Caller.reviewer(app, organization)


@pytest.fixture
def reader(app, organization):
    """A reviewer with read scope."""
    return Caller.reviewer(app, organization, scope="read")


@pytest.fixture
def neighbour(app):
    """A reviewer of another organization."""
    return Caller.reviewer(app, factories.make_organization("Neighbours"))


@pytest.fixture
def anonymous(app):
    return Caller(app)


@pytest.fixture
def assessment(organization):
    return factories.make_assessment(organization)


@pytest.fixture
def key(assessment):
    """A pending key for `assessment`."""
    return factories.make_key(assessment)


@pytest.fixture
def candidate(app, key):
    return Caller.candidate(app, key)


@pytest.fixture
def session(key):
    """The open session of `key`, whose candidate has consented to the recording."""
    return factories.make_recorded_session(key)


@pytest.fixture
def flask(app):
    """A function that runs a `flask` command and returns its output. `fails` expects an error without a traceback."""

    def run(*arguments, fails=False):
        result = app.test_cli_runner().invoke(args=[str(argument) for argument in arguments])
        assert result.exit_code in (1, 2) if fails else result.exit_code == 0, result.output
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result.output if fails else result.stdout

    return run
