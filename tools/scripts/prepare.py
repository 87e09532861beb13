"""First step of `make run`: upgrade the database and print the first token of a new installation."""

import sys

import click
import peewee

import config
from app import create_app
from errors import first_line
from ops import admin
from rules import seal_keys
from storage.atomic_file import atomic_file


def main() -> None:
    create_seal_keys(config.load_or_exit())
    try:
        with create_app().app_context():
            token = admin.bootstrap()
    except (click.ClickException, peewee.OperationalError) as error:
        sys.exit(f"Proofstone cannot start: {first_line(error)}. Check DATABASE_URL.")
    if token:
        print(f"\nCreated your organization. Its token, shown only once:\n\n    {token}\n", flush=True)


def create_seal_keys(settings: config.Config) -> None:
    """Create a private file with a key that signs seals, unless there is one or SEAL_KEYS is set."""
    if settings.seal_keys:
        return
    file = config.seal_keys_file(settings)
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with atomic_file(file) as stream:
        stream.write(f"{seal_keys.generate()}\n".encode())


if __name__ == "__main__":
    main()
