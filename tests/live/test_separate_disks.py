"""A web process and a worker whose bundle folders are not the same."""

import pytest

from tests.git_bundles.bundles import bundle_of_blobs
from tests.live.cast import make_assessment, make_candidate
from tests.live.service import wait_until


@pytest.fixture
def service(installation):
    with installation.start() as service:
        yield service


def test_separate_disks_are_reported_and_lose_nothing(service, tmp_path):
    reviewer = service.organization("Separate disks")
    candidate = make_candidate(service, reviewer, make_assessment(reviewer))
    assert service.anonymous.get("/v1/ready").status == 200
    session = f"/v1/sessions/{candidate.session_id}"
    with service.worker(BUNDLE_FOLDER=str(tmp_path / "other")):
        candidate.submit_git_bundle(bundle_of_blobs(a=b"a\n"))
        candidate.complete()
        wait_until(
            lambda: "`storage` failed for all" in service.log(), "The worker did not report its folder."
        )
        wait_until(
            lambda: "will be read later" in service.log(), "The worker did not look for the submission."
        )
    assert "The bundle store has no marker" in service.log()
    assert not (tmp_path / "other").exists()
    assert reviewer.get(session)["submission"]["state"] == "waiting"
    assert "`storage` has failed since" in service.flask("doctor", status=1)
    findings = reviewer.get(f"{session}/integrity")["findings"]
    assert "submission_unreadable" not in [finding["code"] for finding in findings]
    assert reviewer.get("/v1/todo")["lostSubmissions"]["count"] == 0
    service.execute("UPDATE submissions SET retry_at = created_at")
    with service.worker():
        wait_until(
            lambda: reviewer.get(session)["submission"]["state"] == "read", "The submission was not read."
        )
