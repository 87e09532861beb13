"""Fill an empty database: `python -m tools.demo.fill RECEIVERS`, with the service's settings.

RECEIVERS is the base URL of the webhook receivers. Prints the tokens, session ids and the runner's token as JSON. The
worker must not run: it would close the sessions, because their deadlines are in the past.
"""

import json
import os
import sys

import migrations
from app import create_app
from models.base import clock
from ops import admin
from tools.demo.cast import COMPANY
from tools.demo.organization import Organization
from tools.demo.servers import DemoServers
from tools.demo.simulation import Simulation
from tools.demo.story import Story


def main(receivers_url: str) -> None:
    with DemoServers() as servers:
        os.environ |= {"ANTHROPIC_BASE_URL": servers.url, "ANTHROPIC_API_KEY": "sk-ant-demo"}
        app = create_app()
        migrations.upgrade()
        simulation, end = Simulation(app), clock.now()
        simulation.flask("issues", "import", str(admin.CATALOG))
        organization = Organization(simulation, receivers_url)
        story = Story(simulation, organization, servers, end)
        clock.fixed = story.start
        organization.set_up()
        simulation.run(story.scripts(), story.start, end)
        runner = simulation.flask("runner", "create", "Demo", "--organization", COMPANY).strip()
    print(json.dumps({"tokens": organization.tokens, "sessions": story.sessions, "runner": runner}))


if __name__ == "__main__":
    main(*sys.argv[1:])
