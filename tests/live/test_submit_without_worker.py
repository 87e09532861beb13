"""The workspace's `submit` while no worker reads submissions."""

from tests.live.candidate_machine import needs_programs


@needs_programs
def test_submit_ends_the_session_if_the_work_is_not_read_in_time(machine, empty_key, service):
    machine.prepare(empty_key)
    (machine.workspace / "new.txt").write_text("new\n")
    submit = machine.workspace / "submit"
    submit.write_text(submit.read_text().replace("tries=60", "tries=1"))
    submitted = machine.submit()
    assert (submitted.returncode, submitted.stderr) == (0, "")
    assert "has not been read yet" in submitted.stdout
    assert service.candidate(empty_key).get("/v1/candidate/workspace")["status"] == "completed"
