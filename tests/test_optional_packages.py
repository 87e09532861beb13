"""The application works without its optional packages."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
NOT_COPIED = shutil.ignore_patterns(".*", "var", "tests", "tools", "docs", "__pycache__")
START = """
import config
from app import create_app
from blueprints import openapi

provider = {"OIDC_ISSUER": "https://id.example", "OIDC_CLIENT_ID": "one", "OIDC_CLIENT_SECRET": "two"}
settings = {"DATABASE_URL": "sqlite:///optional.db", "LEDGER_KEYS": "test:" + "0" * 64, "METRICS_TOKEN": "0" * 16}
app = create_app(config.load(settings | provider))
print(*app.test_client().get("/v1/sign-in").json["methods"])
with app.app_context():
    print("\\n".join([*openapi.build_document(app)["paths"], *(rule.rule for rule in app.url_map.iter_rules())]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("package", ["console", "integrations", "oidc.py", "proxy", "rules/agents", "runner"])
def test_the_application_works_without_the_package(package, tmp_path):
    tree = tmp_path / "tree"
    shutil.copytree(ROOT, tree, ignore=NOT_COPIED)
    (tree / package).unlink() if package.endswith(".py") else shutil.rmtree(tree / package)
    module = package.removesuffix(".py").replace("/", ".")
    wiring = (tree / "app.py").read_text().splitlines(keepends=True)
    markers = (f'"{module}.', f'"{module}"', f"# needs {module}")
    remaining = [line for line in wiring if not any(marker in line for marker in markers)]
    (tree / "app.py").write_text("".join(remaining))
    environment = os.environ | {"PYTHON_DOTENV_DISABLED": "1"}
    command = [sys.executable, "-c", START]
    result = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, (
        f"The application needs {package}, which is optional. Import it only from its own modules and from "
        f"its line in app.py; move shared code elsewhere.\n{result.stderr}"
    )
    methods, *paths = result.stdout.splitlines()
    assert methods == ("token" if module == "oidc" else "oidc token")
    assert "/v1/assessments" in paths
    prefixes = ("/sign-in/oidc",) if module == "oidc" else (f"/v1/{package}", f"/{package}")
    # Jobs wait for a runner on another machine.
    assert module == "runner" or not [path for path in paths if path.startswith(prefixes)]
