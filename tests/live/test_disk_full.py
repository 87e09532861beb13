"""The disk is full: a refusal with a sentence, nothing half written, and all goes on once there is room."""

import http.client
import shutil
import signal
import subprocess
import tempfile
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import quote

import postgres
import pytest

from tests.live.cast import ASSESSMENT, event, make_assessment, make_keys, start_session
from tests.live.client import Response
from tests.live.service import Service, wait_until

pytestmark = pytest.mark.slow

BRIEF = "Fix it. " * 400
BUNDLE = b"x" * 300_000


class SmallDisk:
    """A disk of a few megabytes, which a test fills and clears."""

    def __init__(self, folder):
        self.folder = folder
        self.ballast = folder / "ballast"

    def fill(self):
        with open(self.ballast, "ab", buffering=0) as file:
            for size in (65_536, 512):
                try:
                    while file.write(b"\0" * size):
                        pass
                except OSError:
                    continue

    def clear(self):
        self.ballast.unlink()


@contextmanager
def small_disk(megabytes):
    folder = Path(tempfile.mkdtemp(prefix="proofstone-disk-", dir="/tmp"))
    mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=777", "tmpfs", folder]
    try:
        if not shutil.which("mount") or subprocess.run(mount, capture_output=True).returncode != 0:
            pytest.skip("A small disk cannot be mounted here; that needs root.")
        try:
            yield SmallDisk(folder)
        finally:
            subprocess.run(["umount", "--lazy", folder], check=True)
    finally:
        folder.rmdir()


@pytest.fixture
def disk():
    with small_disk(megabytes=8) as disk:
        yield disk


class Team:
    """A reviewer and a candidate who write until the disk is full, and remember what was acknowledged."""

    def __init__(self, service):
        self.service = service
        self.reviewer = service.organization("Acme")
        self.assessment = make_assessment(self.reviewer)
        key = make_keys(self.reviewer, self.assessment, 1)[0]["key"]
        self.session = start_session(service, key)
        self.candidate = service.candidate(key)
        self.assessments = {self.assessment["id"]}
        self.events = set()
        self.batches = 0

    def create(self):
        answer = self.reviewer.post("/v1/assessments", ASSESSMENT | {"taskBrief": BRIEF})
        if answer.status == 201:
            self.assessments.add(answer["assessment"]["id"])
        return answer

    def ingest(self):
        sent = event(data={"text": BRIEF})
        answer = self.candidate.post("/v1/hooks/ingest", sent)
        if answer.status == 201:
            self.events.add(sent["id"])
        return answer

    def issue(self):
        answer = self.reviewer.post(f"/v1/assessments/{self.assessment['id']}/keys", {"count": 50})
        self.batches += answer.status == 201
        return answer

    def writes(self):
        return [self.create(), self.ingest(), self.issue()]

    def write_well(self):
        for _ in range(5):
            self.assert_works_again()

    def write_until_refused(self):
        """The answers to one of each, none of which finds room any more."""
        for _ in range(2000):
            answers = self.writes()
            if all(answer.status >= 500 for answer in answers):
                return answers
        raise AssertionError("The disk does not fill.")

    def assert_works_again(self):
        assert [answer.status for answer in self.writes()] == [201, 201, 201]

    def assert_acknowledged_is_there(self):
        assert self._assessments() >= self.assessments
        assert self._events() >= self.events

    def assert_all_is_there_and_nothing_by_halves(self):
        """What was acknowledged, and of what was refused nothing."""
        assert self._assessments() == self.assessments
        assert self._events() == self.events
        keys = self.reviewer.get(f"/v1/assessments/{self.assessment['id']}/keys")["keys"]
        assert len(keys) == 1 + 50 * self.batches

    def _assessments(self):
        return {it["id"] for it in self.reviewer.get("/v1/assessments")["assessments"]}

    def _events(self):
        path, ids, cursor = f"/v1/sessions/{self.session}/timeline?limit=200", set(), ""
        while cursor is not None:
            page = self.reviewer.get(path + cursor).json
            ids |= {it["id"] for it in page["events"]}
            cursor = page["next"] and f"&after={quote(page['next'])}"
        return ids


def assert_refused(answer, status, code):
    assert (answer.status, answer["code"]) == (status, code), answer.text
    assert answer["error"].endswith(".")
    assert int(answer.headers["Retry-After"]) > 0


def fill_and_make_room(team, disk, status, code):
    """Writes are refused so while the disk is full, reads go on; with room all works, and nothing was half written."""
    team.write_well()
    disk.fill()
    for answer in team.write_until_refused():
        assert_refused(answer, status, code)
    assert team.reviewer.get("/v1/assessments").status == 200
    disk.clear()
    team.assert_works_again()
    team.assert_all_is_there_and_nothing_by_halves()


def test_sqlite_on_a_full_disk_is_answered_with_507_until_there_is_room(disk, tmp_path):
    path = disk.folder / "proofstone.db"
    with Service(tmp_path, f"sqlite:///{path}").start() as service, service.worker():
        fill_and_make_room(Team(service), disk, 507, "disk_full")
        assert service.execute("PRAGMA integrity_check") == [("ok",)]
        assert "no transaction is active" not in service.log()


@pytest.fixture
def server():
    """A PostgreSQL of the test's own, whose files can be moved."""
    with postgres.start() as server:
        if not server.can_restart:
            pytest.skip("The files of the server that TEST_DATABASE_URL names are out of reach.")
        yield server


def test_postgresql_without_room_for_its_tables_is_answered_with_503_until_there_is_some(
    server, disk, tmp_path
):
    place = disk.folder / "tables"
    place.mkdir()
    if server.user != "-":
        shutil.chown(place, server.user)
    server.query(f"CREATE TABLESPACE small LOCATION '{place}'")
    server.query("CREATE DATABASE proofstone TABLESPACE small")
    with Service(tmp_path, server.url("proofstone")).start() as service, service.worker():
        fill_and_make_room(Team(service), disk, 503, "database_full")


def test_postgresql_without_room_for_its_log_loses_nothing_that_was_acknowledged(server, tmp_path):
    """It stops all of its processes then (PANIC), and is away until its log has room again."""
    with small_disk(megabytes=60) as disk:
        move_log(server, disk.folder / "pg_wal")
        url = server.create_database("proofstone")
        with Service(tmp_path, url).start() as service:
            team = Team(service)
            team.write_well()
            disk.fill()
            answers = team.write_until_refused()
            assert {answer.status for answer in answers} == {503}
            disk.clear()
            if server.process.poll() is not None:
                server.start()
            wait_until(lambda: team.create().status == 201, "The service does not come back.")
            team.assert_works_again()
            team.assert_acknowledged_is_there()


def move_log(server, place):
    """Let the server's write-ahead log lie elsewhere."""
    server._end(signal.SIGINT)
    log = server.folder / "data" / "pg_wal"
    shutil.copytree(log, place)
    for path in (place, *place.rglob("*")):
        shutil.chown(path, log.owner())
    place.chmod(0o700)
    shutil.rmtree(log)
    log.symlink_to(place)
    server.start()


def test_a_bundle_on_a_full_disk_is_answered_with_507_and_leaves_nothing(disk, tmp_path):
    bundles = disk.folder / "bundles"
    url = f"sqlite:///{tmp_path}/proofstone.db"
    with Service(tmp_path, url, BUNDLE_FOLDER=str(bundles)).start() as service:
        team = Team(service)
        place = team.candidate.post("/v1/candidate/upload-url", {"sessionId": team.session}).json
        path = place["uploadUrl"].partition("/v1/")[2]
        assert put(service, path, BUNDLE).status == 200
        disk.fill()
        assert_refused(put(service, path, BUNDLE + b"more"), 507, "disk_full")
        assert [file.read_bytes() for file in bundles.iterdir()] == [BUNDLE]
        disk.clear()
        assert put(service, path, BUNDLE + b"more").status == 200
        assert [file.read_bytes() for file in bundles.iterdir()] == [BUNDLE + b"more"]


def put(service, path, content):
    connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=30)
    with closing(connection):
        connection.request("PUT", f"/v1/{path}", content, {"Content-Type": "application/gzip"})
        response = connection.getresponse()
        return Response(response.status, response.headers, response.read())
