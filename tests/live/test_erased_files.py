"""After an erasure no file of an installation on SQLite contains the candidate's name, address or work."""

from tests.live.cast import Candidate, event, invite, make_assessment
from tests.live.service import Service, wait_until

NAME, ADDRESS, WORD = "Zebulon Quartermain", "zq@quartermain.example", "zqmarker"
TRACES = [text.encode() for text in ("Zebulon", "quartermain", WORD)]


def test_no_file_contains_an_erased_candidate(tmp_path):
    with Service(tmp_path).start() as service, service.worker():
        reviewer = service.organization("Acme")
        created = invite(reviewer, make_assessment(reviewer), ADDRESS, candidateNames=[NAME])
        candidate = Candidate(service, created["keys"][0])
        for number in range(50):
            text = f"{WORD} {number} " * 500
            assert candidate.ingest(event(second=number, data={"text": text})).status == 201
        assert candidate.complete().status == 200
        # An email that is being saved is removed when the worker's lease on it has expired.
        wait_until(
            lambda: reviewer.get("/v1/candidates")["candidates"][0]["invite"]["state"] == "saved",
            "The email was not saved.",
        )
        assert {"mail", "proofstone.db-wal"} <= files_with_traces(tmp_path)
        assert reviewer.delete(f"/v1/candidates/{candidate.id}/data").status == 200
        wait_until(lambda: not files_with_traces(tmp_path), "Traces remain.")


def files_with_traces(folder):
    """The names of files and folders in `folder` that contain a trace."""
    found = set()
    for file in folder.rglob("*"):
        try:
            text = file.read_bytes()
        except (FileNotFoundError, IsADirectoryError):
            continue
        if any(trace in text for trace in TRACES):
            found.add(file.relative_to(folder).parts[0])
    return found
