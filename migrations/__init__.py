"""The schema's history: numbered files, applied in order by `flask db upgrade`."""

from pathlib import Path

from playhouse.migrations import Runner

from models.base import db
from models.database import process_lock

FOLDER = Path(__file__).parent


def upgrade() -> list[str]:
    """Apply what is missing and return its names; safe when several processes start at once."""
    with process_lock("migrate"):
        return _runner().up()


def status() -> list[tuple[str, bool]]:
    """Each migration's name, and whether it has been applied."""
    return [(migration.name, bool(migration.applied)) for migration in _runner().status()]


def missing() -> list[str]:
    """The names of those that have not been applied."""
    return [name for name, applied in status() if not applied]


def _runner() -> Runner:
    return Runner(db.obj, directory=str(FOLDER), table_name="migrations")
