"""First step of `make run`: upgrade the database and print a new installation's first token."""

import os
import sys
from pathlib import Path

import click
import peewee

import config
import models
from app import create_app
from database_errors import describe_for_operator
from models.database import Sqlite
from ops import admin
from rules.ledger import keys
from storage.atomic_file import atomic_file


def main() -> None:
    try:
        create_ledger_keys()
        create_integration_keys()
        with create_app().app_context():
            token = admin.bootstrap()
    except click.ClickException as error:
        sys.exit(f"Proofstone cannot start: {error.message}")
    except peewee.OperationalError as error:
        sys.exit(f"Proofstone cannot start: {describe_for_operator(error)}")
    if token:
        print(f"\nCreated your organization. Its token, shown only once:\n\n    {token}\n", flush=True)


def create_ledger_keys() -> None:
    """Create a private file with a ledger key, unless it exists or LEDGER_KEYS is set."""
    if os.environ.get("LEDGER_KEYS", "").strip():
        return
    key = keys.generate()
    try:
        settings = config.load(os.environ | {"LEDGER_KEYS": key})
    except config.InvalidSetting as error:
        sys.exit(str(error))
    file = config.keys_file(settings, "ledger")
    if file.exists():
        return
    database = models.bind(settings.database_url, prepares=settings.database_prepared_statements)
    is_new = isinstance(database, Sqlite) and not Path(database.database).exists()
    if not is_new and models.LedgerEntry.table_exists() and models.LedgerEntry.select().exists():
        # Restored without its key.
        sys.exit(f"The ledger is signed with another key: put {file} back, or set LEDGER_KEYS.")
    write_key(file, key)


def create_integration_keys() -> None:
    """Create a private file with an integration key, unless it exists or INTEGRATION_KEYS is set."""
    settings = config.load_or_exit()
    if settings.integration_keys is None:
        write_key(config.keys_file(settings, "integration"), keys.generate())


def write_key(file: Path, key: str) -> None:
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with atomic_file(file) as stream:
        stream.write(f"{key}\n".encode())


if __name__ == "__main__":
    main()
