"""The application, its callers and its rows. A test that uses `app` runs on both databases and is rolled back."""

import os
from datetime import UTC, datetime

import factories
import postgres
import pytest
from callers import Caller

import config
import migrations
import models
from app import create_app
from delivery.worker import Worker

WORKER = os.environ.get("PYTEST_XDIST_WORKER", "main")


def pytest_collection_modifyitems(items):
    """Of a parametrized test, the quick tests run one case on PostgreSQL; the others are slow."""
    with_quick_case = set()
    for item in items:
        parameters = item.callspec.params if hasattr(item, "callspec") else {}
        databases = {parameters.get("database_url"), parameters.get("live_database_url")}
        if "postgresql" not in databases or item.get_closest_marker("slow"):
            continue
        test = item.nodeid.partition("[")[0]
        if item.get_closest_marker("any_database") or test in with_quick_case:
            item.add_marker(pytest.mark.slow)
        with_quick_case.add(test)


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
            "MAIL_FOLDER": str(tmp_path_factory.mktemp("mail")),
            "BUNDLE_FOLDER": str(tmp_path_factory.mktemp("bundles")),
            "RATELIMIT_ENABLED": "false",
            "LOG_LEVEL": "ERROR",
            "SEAL_KEYS": "test:a-key-that-only-these-tests-sign-with",
        }
    )
    app = create_app(settings)
    app.testing = False  # Errors become responses, as in production.
    with app.app_context():
        migrations.upgrade()
    models.db.close()
    yield app
    models.db.close()
    models.db.close_idle()


@pytest.fixture
def app(app_on_database):
    """The application; what the test does is rolled back."""
    models.db.connect(reuse_if_open=True)
    models.seal_keys.use(app_on_database.config["SEAL_KEYS"])
    try:
        with models.db.atomic() as transaction:
            yield app_on_database
            transaction.rollback()
    finally:
        models.clock.fixed = None
        models.db.close()


@pytest.fixture
def clock(app):
    """The service's clock, stopped at 2026-04-01 09:00 UTC; a test moves it with `clock.fixed += ...`."""
    models.clock.fixed = datetime(2026, 4, 1, 9, tzinfo=UTC)
    return models.clock


@pytest.fixture
def worker(app, monkeypatch, tmp_path):
    """A worker that saves emails in a temporary folder."""
    monkeypatch.setitem(app.config, "MAIL_FOLDER", tmp_path)
    return Worker(app.config)


@pytest.fixture
def organization(app):
    return factories.make_organization("Acme")


@pytest.fixture
def reviewer(app, organization):
    """A reviewer of the organization who may write."""
    return Caller.reviewer(app, organization)


@pytest.fixture
def reader(app, organization):
    """A reviewer of the organization who may only read."""
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
    """A pending key to `assessment`."""
    return factories.make_key(assessment)


@pytest.fixture
def candidate(app, key):
    return Caller.candidate(app, key)


@pytest.fixture
def session(key):
    """The open session of `key`."""
    return factories.make_session(key)


@pytest.fixture
def flask(app):
    """Run a `flask` command and return its output; with `fails` one that fails without a traceback."""

    def run(*arguments, fails=False):
        result = app.test_cli_runner().invoke(args=[str(argument) for argument in arguments])
        assert result.exit_code in (1, 2) if fails else result.exit_code == 0, result.output
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result.output if fails else result.stdout

    return run
