"""Fill a database: `python -m tools.demo.filling RECEIVERS`, with the settings of the service; prints the result.

RECEIVERS is the base URL of the webhook receivers. Stop the worker first: it would close sessions that are in the past.
"""

import json
import os
import sys
from typing import Any

from app import create_app
from models.base import clock
from ops import admin
from tools.demo import cast
from tools.demo.organization import Organization
from tools.demo.past import Past
from tools.demo.servers import Neighbour, neighbour
from tools.demo.story import Story


def main(receivers: str) -> None:
    with neighbour() as model:
        os.environ |= {"ANTHROPIC_BASE_URL": model.address, "ANTHROPIC_API_KEY": "sk-ant-demo"}
        print(json.dumps(fill(Past(create_app()), model, receivers)))


def fill(past: Past, model: Neighbour, receivers: str) -> dict[str, Any]:
    end = clock.now()
    if "Nothing" not in past.flask("db", "upgrade"):
        past.flask("issues", "import", str(admin.CATALOG))
    organization = Organization(past, receivers)
    story = Story(past, organization, model, end)
    clock.fixed = story.start
    try:
        organization.set_up()
        past.run(story.scripts(), story.start, end)
    finally:
        clock.fixed = None
    names = {candidate.number: candidate.name for candidate in cast.candidates()}
    return {
        "tokens": organization.tokens,
        "sessions": {names[number]: session_id for number, session_id in story.sessions.items()},
    }


if __name__ == "__main__":
    main(*sys.argv[1:])
