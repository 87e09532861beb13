"""Fill an empty database: `python -m tools.demo.filling RECEIVERS`, with the service's settings.

RECEIVERS is the base URL of the webhook receivers. Prints the tokens and session ids as JSON. The worker must not run:
it would close sessions in the past.
"""

import json
import os
import sys

from app import create_app
from models.base import clock
from ops import admin
from tools.demo.organization import Organization
from tools.demo.past import Past
from tools.demo.servers import DemoServers
from tools.demo.story import Story


def main(receivers: str) -> None:
    with DemoServers() as servers:
        os.environ |= {"ANTHROPIC_BASE_URL": servers.address, "ANTHROPIC_API_KEY": "sk-ant-demo"}
        past, end = Past(create_app()), clock.now()
        past.flask("db", "upgrade")
        past.flask("issues", "import", str(admin.CATALOG))
        organization = Organization(past, receivers)
        story = Story(past, organization, servers, end)
        clock.fixed = story.start
        organization.set_up()
        past.run(story.scripts(), story.start, end)
    print(json.dumps({"tokens": organization.tokens, "sessions": story.sessions}))


if __name__ == "__main__":
    main(*sys.argv[1:])
