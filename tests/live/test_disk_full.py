"""A full disk: writes are rejected completely, reads work, and writes work again when there is space."""

import json
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from bundle_stores import bundle_files, make_zip

from tests.live.cast import ASSESSMENT, event, list_keys, make_assessment, make_candidate
from tests.live.service import Service

BRIEF = "Fix it. " * 400


class SmallDisk:
    """A disk of a few megabytes."""

    def __init__(self, folder):
        self.folder = folder

    def fill(self):
        with open(self.folder / "ballast", "ab", buffering=0) as file:
            for size in (65_536, 512):
                try:
                    while file.write(b"\0" * size):
                        pass
                except OSError:
                    continue

    def clear(self):
        (self.folder / "ballast").unlink()


@pytest.fixture
def disk():
    folder = Path(tempfile.mkdtemp(prefix="proofstone-disk-", dir="/tmp"))
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m,mode=777", "tmpfs", folder]
    try:
        if not shutil.which("mount") or subprocess.run(mount, capture_output=True).returncode != 0:
            pytest.skip("Mounting a small disk requires root.")
        try:
            yield SmallDisk(folder)
        finally:
            subprocess.run(["umount", "--lazy", folder], check=True)
    finally:
        folder.rmdir()


class Writers:
    """A reviewer and a candidate, and their acknowledged writes."""

    def __init__(self, service):
        self.reviewer = service.organization("Acme")
        self.assessment = make_assessment(self.reviewer)
        self.candidate = make_candidate(service, self.reviewer, self.assessment)
        self.assessments, self.events, self.keys = {self.assessment["id"]}, set(), 1

    def create(self):
        response = self.reviewer.post("/v1/assessments", ASSESSMENT | {"taskBrief": BRIEF})
        if response.status == 201:
            self.assessments.add(response["assessment"]["id"])
        return response

    def ingest(self):
        sent = event(data={"text": BRIEF})
        response = self.candidate.ingest(sent)
        if response.status == 201:
            self.events.add(sent["id"])
        return response

    def issue_keys(self):
        response = self.reviewer.post(f"/v1/assessments/{self.assessment['id']}/keys", {"count": 50})
        self.keys += 50 * (response.status == 201)
        return response

    def write(self):
        return [self.create(), self.ingest(), self.issue_keys()]

    def assert_writes_succeed(self):
        assert [response.status for response in self.write()] == [201, 201, 201]

    def write_until_rejected(self):
        """Write until every write is rejected, and return the last responses."""
        for _ in range(2000):
            responses = self.write()
            if all(response.status >= 500 for response in responses):
                return responses
        raise AssertionError("The disk was not filled.")

    def assert_stored_exactly_what_was_acknowledged(self):
        assert {row["id"] for row in self.reviewer.get("/v1/assessments")["assessments"]} == self.assessments
        _, *lines = self.reviewer.get(f"/v1/sessions/{self.candidate.session_id}/export").text.splitlines()
        assert {json.loads(line)["id"] for line in lines} == self.events
        assert len(list_keys(self.reviewer, self.assessment)) == self.keys


def assert_rejected(response, status, code):
    assert (response.status, response["code"]) == (status, code), response.text
    assert response["error"].endswith(".")
    assert int(response.headers["Retry-After"]) > 0


def check_full_database(service, disk, status, code):
    writers = Writers(service)
    writers.assert_writes_succeed()
    disk.fill()
    for response in writers.write_until_rejected():
        assert_rejected(response, status, code)
    assert writers.reviewer.get("/v1/assessments").status == 200
    disk.clear()
    writers.assert_writes_succeed()
    writers.assert_stored_exactly_what_was_acknowledged()
    assert "Traceback" not in service.log()


def test_sqlite_on_a_full_disk_returns_507(disk, tmp_path):
    url = f"sqlite:///{disk.folder}/proofstone.db"
    with Service(tmp_path, url).start() as service, service.worker():
        check_full_database(service, disk, 507, "disk_full")
        assert service.execute("PRAGMA integrity_check") == [("ok",)]
        # The log has the reason, not the failed rollback.
        assert "(disk_full): database or disk is full" in service.log()
        assert "rollback" not in service.log()


def test_postgresql_on_a_full_disk_returns_503(own_server, disk, tmp_path):
    folder = disk.folder / "tables"
    folder.mkdir()
    if own_server.user != "-":
        shutil.chown(folder, own_server.user)
    own_server.query(f"CREATE TABLESPACE small LOCATION '{folder}'")
    own_server.query("CREATE DATABASE proofstone TABLESPACE small")
    with Service(tmp_path, own_server.url("proofstone")).start() as service, service.worker():
        check_full_database(service, disk, 503, "database_full")


def test_a_bundle_on_a_full_disk_is_rejected_with_507(disk, tmp_path):
    bundles, bundle = disk.folder / "bundles", b"x" * 300_000
    with Service(tmp_path, BUNDLE_FOLDER=str(bundles)).start() as service:
        candidate = Writers(service).candidate
        upload = candidate.open_upload()
        assert candidate.upload(upload, bundle).status == 200
        disk.fill()
        assert_rejected(candidate.upload(upload, bundle + b"more"), 507, "disk_full")
        assert_rejected(candidate.put_submission(make_zip(a=bundle), "application/zip"), 507, "disk_full")
        assert [file.read_bytes() for file in bundle_files(bundles)] == [bundle]
        disk.clear()
        assert candidate.upload(upload, bundle + b"more").status == 200
        assert [file.read_bytes() for file in bundle_files(bundles)] == [bundle + b"more"]
