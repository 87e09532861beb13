"""Create the first tables (0001_tables.sql)."""

from pathlib import Path

from models.database import is_postgres

POSTGRESQL_TYPES = {
    "boolean": "BOOLEAN",
    "bytes": "BYTEA",
    "json": "JSONB",
    "serial": "BIGSERIAL",
    "timestamp": "TIMESTAMPTZ",
    "uuid": "UUID",
}
SQLITE_TYPES = {
    "boolean": "BOOLEAN",
    "bytes": "BLOB",
    "json": "TEXT",
    "serial": "INTEGER",
    "timestamp": "TIMESTAMPTZ",
    "uuid": "TEXT",
}


def up(migrator, db):
    tables = Path(__file__).with_suffix(".sql").read_text(encoding="utf-8")
    for statement in tables.format(**(POSTGRESQL_TYPES if is_postgres() else SQLITE_TYPES)).split(";\n"):
        if statement.strip():
            db.execute_sql(statement)
