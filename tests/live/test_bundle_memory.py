"""Memory of a web process that lists an untrusted bundle."""

import hashlib
import io
import tarfile
from pathlib import Path
from urllib.parse import urlsplit

from tests.live.cast import make_assessment, make_candidate
from tests.live.client import call, run_concurrently
from tests.live.service import Service

MAX_RSS_MIB = 300
CONCURRENT_LISTINGS = 8  # one for each thread of the web process


def bundle_of_long_names() -> bytes:
    """A small bundle whose names, in PAX records, take 80 MB."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz", format=tarfile.PAX_FORMAT) as archive:
        for _ in range(20_000):
            archive.addfile(tarfile.TarInfo("\U0001f600" * 1_000))
    return file.getvalue()


def submit(candidate, bundle: bytes) -> bool:
    session = {"sessionId": candidate.session_id}
    upload = candidate.post("/v1/candidate/upload-url", session)
    url, headers = urlsplit(upload["uploadUrl"]), {"Content-Type": "application/gzip"}
    put = call(candidate.port, "PUT", f"{url.path}?{url.query}", bundle, headers=headers, seconds=60)
    assert put.status == 200
    details = {"bundleSize": len(bundle), "bundleSha256": hashlib.sha256(bundle).hexdigest()}
    body = session | details | {"bundleKey": upload["objectKey"]}
    return candidate.post("/v1/candidate/submit-code", body)["verified"]


def peak_memory(pid: int) -> int:
    """The largest resident set of a process, in MiB."""
    status = Path(f"/proc/{pid}/status").read_text()
    (line,) = [line for line in status.splitlines() if line.startswith("VmHWM:")]
    return int(line.split()[1]) // 1024


def test_a_bundle_of_long_names_is_listed_in_little_memory(tmp_path):
    bundle = bundle_of_long_names()
    assert len(bundle) < 1024 * 1024
    with Service(tmp_path).start(processes=1) as service:
        reviewer = service.organization("Acme")
        candidate = make_candidate(service, reviewer, make_assessment(reviewer))
        assert submit(candidate, bundle)
        path = f"/v1/sessions/{candidate.session_id}/bundle/files"
        for listing in run_concurrently([lambda: reviewer.get(path)] * CONCURRENT_LISTINGS):
            assert listing["problem"] == "The bundle's names are too long to list all of them."
            assert len(listing["files"]) > 1_000
        (pid,) = service.web_processes()
        assert peak_memory(pid) < MAX_RSS_MIB
