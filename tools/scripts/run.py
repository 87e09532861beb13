"""`make run`: upgrade the database, then run the web process and the worker until Ctrl-C.

Settings come from the environment and `.env`, as for `flask` commands.
"""

import os
import sys

from dotenv import load_dotenv

import config
from tools.scripts.service import Service, Stopped, handle_stop_signals, require_free_port


def main() -> None:
    load_dotenv(".env")
    os.environ["PORT"] = os.environ.get("PORT") or "8000"
    try:
        port = config.parse("PORT", os.environ["PORT"], config.port)
    except config.InvalidSetting as error:
        sys.exit(str(error))
    require_free_port(port, "make run")
    os.environ["BASE_URL"] = os.environ.get("BASE_URL") or f"http://localhost:{port}"
    handle_stop_signals()
    service = Service(port, os.environ)
    try:
        service.prepare()
        service.start()
        print(
            f"Proofstone is running. Console: http://localhost:{port}/console, "
            f"API docs: http://localhost:{port}/docs (press Ctrl-C to stop)",
            flush=True,
        )
        service.watch()
    except Stopped:
        print("\nStopping ...", flush=True)
    finally:
        service.stop()


if __name__ == "__main__":
    main()
