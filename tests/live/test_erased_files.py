"""After an erasure, a SQLite installation's files do not contain the candidate's name, address or work."""

from tests.live.cast import Candidate, event, invite, make_assessment
from tests.live.service import Service, wait_until

NAME, ADDRESS, WORD = "Zebulon Quartermain", "zq@quartermain.example", "zqmarker"
TRACES = [text.encode() for text in ("Zebulon", "quartermain", WORD)]


def test_files_do_not_contain_an_erased_candidate(tmp_path):
    with Service(tmp_path).start() as service, service.worker():
        reviewer = service.organization("Acme")
        created = invite(reviewer, make_assessment(reviewer), ADDRESS, candidateNames=[NAME])
        candidate = Candidate(service, created["keys"][0])
        for number in range(50):
            text = f"{WORD} {number} " * 500
            assert candidate.ingest(event(second=number, data={"text": text})).status == 201
        assert candidate.complete().status == 200
        # Otherwise the email is not removed until the worker's lease expires.
        wait_until(
            lambda: reviewer.get("/v1/candidates")["candidates"][0]["invite"]["state"] == "saved",
            "The email was not saved.",
        )
        assert {"mail", "proofstone.db-wal"} <= files_with_traces(tmp_path)
        assert reviewer.delete(f"/v1/candidates/{candidate.id}/data").status == 200
        wait_until(lambda: not files_with_traces(tmp_path), "A file still has traces.")


def files_with_traces(folder):
    """Return the names of files and folders in `folder` that contain a trace."""
    names = set()
    for file in folder.rglob("*"):
        try:
            text = file.read_bytes()
        except (FileNotFoundError, IsADirectoryError):
            continue
        if any(trace in text for trace in TRACES):
            names.add(file.relative_to(folder).parts[0])
    return names
