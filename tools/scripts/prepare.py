"""The first step of `make run`: bring the database up to date, and show a new organization's token, once."""

import sys

import click
import peewee

import cli
from app import create_app


def main() -> None:
    try:
        with create_app().app_context():
            token = cli.prepare()
    except (click.ClickException, peewee.OperationalError) as error:
        sys.exit(f"Proofstone cannot start: {str(error).splitlines()[0]}.")
    if token:
        print(f"\nYour organization is made. Its token, shown only this once:\n\n    {token}\n", flush=True)


if __name__ == "__main__":
    main()
