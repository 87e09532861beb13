"""Schema migrations: numbered files, applied in order by `flask db upgrade`."""

from pathlib import Path

from playhouse.migrations import Runner

from models.base import db
from models.database import process_lock

FOLDER = Path(__file__).parent


def upgrade() -> list[str]:
    """Apply missing migrations, one process at a time; returns their names."""
    with process_lock("migrate"):
        return _runner().up()


def status() -> list[tuple[str, bool]]:
    """List the migrations; returns each name, and whether it is applied."""
    return [(migration.name, bool(migration.applied)) for migration in _runner().status()]


def missing() -> list[str]:
    """List the names of migrations that are not applied."""
    return [name for name, applied in status() if not applied]


def _runner() -> Runner:
    return Runner(db.obj, directory=str(FOLDER), table_name="migrations")
