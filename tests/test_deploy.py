"""deploy/: the Compose file and the systemd units fit the commands, settings and timeouts."""

import os
import re
import shutil
import subprocess
from configparser import RawConfigParser
from dataclasses import fields
from pathlib import Path

import pytest
import yaml

import config

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
SERVICES = COMPOSE["services"]
GUNICORN = (ROOT / "gunicorn.conf.py").read_text()
SETTINGS = {setting.name.upper() for setting in fields(config.Config)}
UNITS = DEPLOY / "systemd"
COMMON = "proofstone-.service.d/common.conf"


def seconds(name, text):
    """Read a number of seconds, such as `graceful_timeout = 15` or `keepalive 60s`."""
    return int(re.search(rf"^\s*{name}[\s=:]+(\d+)s?$", text, re.MULTILINE)[1])


def unit(*names):
    parser = RawConfigParser(strict=False)
    parser.optionxform = str
    parser.read(UNITS / name for name in names)
    return parser


def assert_commands_exist(app, command):
    for words in re.findall(r"flask ([a-z]+)(?: ([a-z]+))?", command):
        group = app.cli
        for word in filter(None, words):
            group = group.get_command(None, word)
            assert group, f"Correct `{command}`."


def test_compose_runs_existing_commands_with_existing_settings(app):
    for name in ("upgrade", "web", "worker"):
        service = SERVICES[name]
        assert_commands_exist(app, service.get("command", ""))
        assert service["environment"].keys() <= SETTINGS
        assert service["env_file"] == ".env"
        assert int(service["stop_grace_period"].rstrip("s")) > seconds("graceful_timeout", GUNICORN)
    assert SERVICES["worker"]["command"] == "flask worker"
    assert "flask db upgrade && flask issues import" in SERVICES["upgrade"]["command"]
    for name in ("web", "worker"):
        assert SERVICES[name]["depends_on"] == {"upgrade": {"condition": "service_completed_successfully"}}


def test_compose_builds_the_image_that_all_processes_run():
    assert {SERVICES[name]["image"] for name in ("upgrade", "web", "worker")} == {"proofstone"}
    built = [(name, service["build"]) for name, service in SERVICES.items() if "build" in service]
    assert built == [("upgrade", "..")]
    assert (DEPLOY / ".." / "Dockerfile").exists()


def test_compose_keeps_bundles_databases_and_certificates_on_volumes():
    assert SERVICES["web"]["volumes"] == SERVICES["worker"]["volumes"] == ["data:/srv/proofstone/var"]
    assert "WORKDIR /srv/proofstone\n" in (ROOT / "Dockerfile").read_text()
    named = {volume.partition(":")[0] for service in SERVICES.values() for volume in service["volumes"]}
    assert {name for name in named if not name.startswith(".")} == COMPOSE["volumes"].keys()


def test_compose_publishes_only_the_proxy_and_contains_no_secrets():
    assert [name for name, service in SERVICES.items() if "ports" in service] == ["proxy"]
    for service in SERVICES.values():
        for name, value in service.get("environment", {}).items():
            assert "${" in str(value) or not re.search("PASSWORD|KEY|TOKEN|URL", name)


def test_the_proxy_closes_idle_connections_before_gunicorn():
    assert seconds("keepalive", (DEPLOY / "Caddyfile").read_text()) < seconds("keepalive", GUNICORN)


def test_the_units_run_existing_commands_and_wait_for_requests(app):
    web, worker = (unit(COMMON, f"proofstone-{name}.service") for name in ("web", "worker"))
    for service in (web["Service"], worker["Service"]):
        assert int(service["TimeoutStopSec"]) > seconds("graceful_timeout", GUNICORN)
        assert (service["KillMode"], service["KillSignal"]) == ("mixed", "SIGTERM")
    for command in (web["Service"]["ExecStartPre"], worker["Service"]["ExecStart"]):
        assert_commands_exist(app, command)
    assert web["Service"]["ExecReload"] == "kill -HUP $MAINPID"


def test_systemd_accepts_the_units(tmp_path):
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd is not installed.")
    shutil.copytree(UNITS, tmp_path / "units")
    programs = tmp_path / ".venv/bin"
    programs.mkdir(parents=True)
    for name in ("flask", "gunicorn"):
        (programs / name).symlink_to(shutil.which("true"))
    files = [path for path in (tmp_path / "units").rglob("*") if path.is_file()]
    for path in files:
        path.write_text(path.read_text().replace("/srv/proofstone", str(tmp_path)))
    units = [path.name for path in files if path.suffix == ".service"]
    result = subprocess.run(
        ["systemd-analyze", "verify", "--recursive-errors=no", "--man=no", *units],
        env=os.environ | {"SYSTEMD_UNIT_PATH": f"{tmp_path}/units:"}, capture_output=True, text=True,
    )  # fmt: skip
    assert (result.returncode, result.stderr) == (0, "")
