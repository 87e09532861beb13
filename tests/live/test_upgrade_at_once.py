"""Several processes that bring the same empty database up to date at the same moment, as after a deployment."""

import pytest

from tests.live.client import run_concurrently
from tests.live.service import Service


@pytest.fixture(params=["sqlite", "postgresql"])
def fresh(request, tmp_path):
    """An installation whose database has nothing in it yet."""
    if request.param == "sqlite":
        yield Service(tmp_path, f"sqlite:///{tmp_path}/proofstone.db")
        return
    server = request.getfixturevalue("postgres_server")
    yield Service(tmp_path, server.create_database(f"{tmp_path.name}_fresh"))
    server.drop_database(f"{tmp_path.name}_fresh")


@pytest.mark.slow
def test_upgrades_at_the_same_moment_all_succeed_and_one_does_the_work(fresh):
    said = run_concurrently([lambda: fresh.flask("db", "upgrade")] * 4)
    worked = [it for it in said if it != "Nothing to apply.\n"]
    assert len(worked) == 1
    assert worked[0].splitlines()[0] == "0001_initial"
    assert "missing" not in fresh.flask("db", "status")
