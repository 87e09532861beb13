"""The cast and the databases: every test that asks for `app` runs on SQLite and on PostgreSQL, and is rolled back."""

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

WORKER = os.environ.get("PYTEST_XDIST_WORKER", "main")


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
        }
    )
    app = create_app(settings)
    app.testing = False  # errors are answered as in production
    with app.app_context():
        migrations.upgrade()
    yield app
    models.db.close()
    models.db.close_idle()


@pytest.fixture
def app(app_on_database):
    """The application, with everything that the test does undone after it."""
    models.db.connect(reuse_if_open=True)
    try:
        with models.db.atomic() as transaction:
            yield app_on_database
            transaction.rollback()
    finally:
        models.clock.fixed = None
        models.db.close()


@pytest.fixture
def clock(app):
    """The service's clock, standing still at 2026-04-01 09:00 UTC; a test moves it with `clock.fixed += ...`."""
    models.clock.fixed = datetime(2026, 4, 1, 9, tzinfo=UTC)
    return models.clock


@pytest.fixture
def organization(app):
    return factories.make_organization("Acme")


@pytest.fixture
def reviewer(app, organization):
    """A reviewer with the scope `write`."""
    return Caller.reviewer(app, organization)


@pytest.fixture
def reader(app, organization):
    """A reviewer of the same organization who may only read."""
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
    """Whoever holds `key`."""
    return Caller.candidate(app, key)


@pytest.fixture
def session(key):
    """The open session of `key`, redeemed just now."""
    return factories.make_session(key)


@pytest.fixture
def flask(app):
    """Runs a `flask` command that succeeds and returns what it printed."""

    def run(*arguments):
        result = app.test_cli_runner().invoke(args=[str(argument) for argument in arguments])
        assert result.exit_code == 0, result.output
        return result.stdout

    return run
