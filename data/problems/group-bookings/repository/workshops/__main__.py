"""`python3 -m workshops`: the HTTP service."""

import argparse

from workshops.server import serve
from workshops.store import Store


def main() -> None:
    parser = argparse.ArgumentParser(prog="workshops", description="Take bookings for workshops.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--database", default="workshops.db", help="a SQLite file, created if it is missing")
    arguments = parser.parse_args()
    serve(Store(arguments.database), arguments.host, arguments.port)


if __name__ == "__main__":
    main()
