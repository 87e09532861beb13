"""Generated clients (docs/clients.md) compile and run a complete assessment."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.live.service import HOST, Service

HERE = Path(__file__).parent
WEBHOOKS = HERE.parents[1] / "docs" / "webhooks.md"
SECONDS = 300


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    """A service with a worker."""
    with Service(tmp_path_factory.mktemp("service")).start(processes=1) as service, service.worker():
        yield service


@pytest.fixture(scope="module")
def document(service, tmp_path_factory):
    """The running service's OpenAPI document, as a file."""
    file = tmp_path_factory.mktemp("document") / "openapi.json"
    file.write_bytes(service.anonymous.get("/openapi.json").text)
    return file


@pytest.fixture(scope="module")
def node(document, tmp_path_factory):
    """A folder with the locked npm packages, the document and the TypeScript files."""
    if shutil.which("npm") is None:
        pytest.skip("node and npm are not installed.")
    folder = tmp_path_factory.mktemp("node")
    for name in ("package.json", "package-lock.json", "tsconfig.json", "scenario.ts", "check_schemas.mjs"):
        shutil.copy(HERE / name, folder)
    shutil.copy(document, folder)
    run(folder, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
    return folder


def run(folder, *command):
    """Run a command in a folder and return its output."""
    done = subprocess.run(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=SECONDS
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def arguments(service, organization):
    reviewer = service.organization(organization)
    return f"http://{HOST}:{service.port}", reviewer.headers["Authorization"].removeprefix("Bearer ")


def snippet(language):
    """Return the verification function in docs/webhooks.md."""
    return re.search(rf"```{language}\n(.*?)```", WEBHOOKS.read_text("utf-8"), re.DOTALL)[1]


def test_python_client(service, document, tmp_path):
    run(tmp_path, sys.executable, "-m", "venv", "venv")
    python = tmp_path / "venv" / "bin" / "python"
    locked = ("--require-hashes", "--no-deps", "-r", HERE / "requirements.txt")
    run(tmp_path, python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *locked)
    options = ("--path", document, "--config", HERE / "python.yml", "--meta", "none")
    options += ("--output-path", "proofstone_client")
    generated = run(tmp_path, python, "-m", "openapi_python_client", "generate", *options)
    assert not re.search("WARNING|Unable", generated), generated
    (tmp_path / "verify.py").write_text(snippet("python"), encoding="utf-8")
    for name in ("scenario.py", "receiver.py"):
        shutil.copy(HERE / name, tmp_path)
    run(tmp_path, python, "-m", "compileall", "-q", "proofstone_client")
    assert run(tmp_path, python, "scenario.py", *arguments(service, "Python")) == "done\n"


def test_typescript_client(service, node):
    run(node, "npx", "openapi-typescript", "openapi.json", "--output", "schema.d.ts")
    (node / "verify.ts").write_text(snippet("ts"), encoding="utf-8")
    run(node, "npx", "tsc")
    assert run(node, "node", "dist/scenario.js", *arguments(service, "TypeScript")) == "done\n"


def test_ajv_compiles_every_schema(node):
    assert re.fullmatch(r"\d+ schemas\n", run(node, "node", "check_schemas.mjs", "openapi.json"))


def test_redocly_has_no_warnings(node):
    report = run(node, "npx", "redocly", "lint", "openapi.json", "--max-problems", "20")
    assert "warning" not in report.lower().replace("deprecation warning", ""), report
