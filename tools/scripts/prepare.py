"""First step of `make run`: upgrade the database and print a new installation's first token."""

import sys

import click
import peewee

import config
import models
from app import create_app
from errors import first_line
from models import AuditChain
from ops import admin
from rules.integrity import seal_keys
from storage.atomic_file import atomic_file


def main() -> None:
    try:
        with create_app().app_context():
            create_seal_keys(config.load_or_exit())
            token = admin.bootstrap()
    except click.ClickException as error:
        sys.exit(f"Proofstone cannot start: {error.message}")
    except peewee.OperationalError as error:
        sys.exit(f"Proofstone cannot start: {first_line(error)}. Check DATABASE_URL.")
    if token:
        print(f"\nCreated your organization. Its token, shown only once:\n\n    {token}\n", flush=True)


def create_seal_keys(settings: config.Config) -> None:
    """Create a private file with a seal key, unless it exists or SEAL_KEYS is set."""
    if settings.seal_keys:
        return
    file = config.seal_keys_file(settings)
    if AuditChain.table_exists() and AuditChain.select().where(AuditChain.key_id.is_null(False)).exists():
        # Restored without its key. The old key could not verify entries signed with a new one.
        print(
            f"The audit log is signed with a different key: put {file} back, or set SEAL_KEYS.",
            file=sys.stderr,
        )
        return
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with atomic_file(file) as stream:
        stream.write(f"{seal_keys.generate()}\n".encode())
    models.seal_keys.use(config.load_or_exit().seal_keys)


if __name__ == "__main__":
    main()
