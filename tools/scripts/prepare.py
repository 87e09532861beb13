"""First step of `make run`: upgrade the database and print the first token of a new installation."""

import sys

import click
import peewee

from app import create_app
from errors import first_line
from ops import admin


def main() -> None:
    try:
        with create_app().app_context():
            token = admin.bootstrap()
    except (click.ClickException, peewee.OperationalError) as error:
        sys.exit(f"Proofstone cannot start: {first_line(error)}. Check DATABASE_URL.")
    if token:
        print(f"\nCreated your organization. Its token, shown only once:\n\n    {token}\n", flush=True)


if __name__ == "__main__":
    main()
