"""`make demo`, which sets PORT."""

import click
from dotenv import load_dotenv

from tools import demo


@click.command()
@click.option("--port", default=8000, show_default=True, envvar="PORT", type=click.IntRange(1, 65535))
def main(port: int) -> None:
    """Start a service with sample data, until Ctrl-C."""
    demo.run(port)


if __name__ == "__main__":
    load_dotenv(".env")
    main()
