"""Create the tables in 0001_tables_and_ledger.sql."""

from pathlib import Path

from migrations import execute


def up(migrator, db):
    execute(Path(__file__).with_suffix(".sql").read_text(encoding="utf-8"))
