"""Repositories, hidden tests and reference solutions of assessments and problems."""

import hashlib
import json
import re
import tarfile
from pathlib import Path
from tempfile import TemporaryFile

import pytest
from bundle_stores import bundle_files, use_folder
from callers import Caller
from factories import make_assessment, make_issue, make_key, make_person, make_session
from response_checks import body_of, error_of, error_paths

from delivery.worker import Worker
from git_bundles.process import export_files
from models import Assessment, AuditEntry, Delivery, TaskFile
from models.tasks.files import MAX_REQUEST_DURATION
from ops import admin, problems
from schemas.task_files import TestSettings
from tests.git_bundles.bundles import commit, git, make_repository
from tests.rules.test_archives import make_tar, make_zip

SETTINGS = {"version": 1, "command": "python3 -m pytest", "serve": "python3 /serve/serve.py"}
DEFAULTS = {
    "setup": None,
    "setupNetwork": False,
    "files": [],
    "framework": None,
    "report": None,
    "image": None,
    "limits": {
        "seconds": 120,
        "setupSeconds": 120,
        "memoryMb": 512,
        "processes": 64,
        "diskMb": 256,
        "cpus": 1,
    },
}
FILES = {"app.py": "1\n", "run.sh": "#!/bin/sh\n"}
TYPES = {
    "zip": "application/zip", "tar.gz": "application/gzip", "git": "application/x-git-bundle", "patch": "text/x-patch"
}  # fmt: skip


def pack(files, format="zip"):
    entries = [(name, content.encode(), 0o755 if ".sh" in name else 0o644) for name, content in files.items()]
    return (make_zip if format == "zip" else make_tar)(*entries)


def pack_tests(settings=SETTINGS, **files):
    return pack({"tests.json": json.dumps(settings), "test_app.py": "assert True\n"} | files)


def put(caller, path, content, format="zip"):
    return caller.request("PUT", path, data=content, headers={"Content-Type": TYPES[format]})


@pytest.fixture
def store(app, tmp_path, monkeypatch):
    return use_folder(app, tmp_path / "bundles", monkeypatch)


@pytest.fixture
def problem(organization):
    return make_issue(organization, repo_url="https://example.com/a", repo_commit="1" * 40)


@pytest.fixture(params=["assessments", "issues"])
def path(request, store, assessment, problem):
    """The path of an assessment, and of a problem."""
    return f"/v1/{request.param}/{assessment.id if request.param == 'assessments' else problem.id}"


def upload_all(reviewer, path):
    body_of(put(reviewer, f"{path}/repository", pack(FILES)))
    body_of(put(reviewer, f"{path}/tests", pack_tests()))
    body_of(put(reviewer, f"{path}/reference", pack({"app.py": "2\n"})))


def stored(store):
    return len(bundle_files(store.folder))


def remove_unused(app, store, clock):
    clock.fixed += MAX_REQUEST_DURATION
    Worker(app.config, store).run_once()


def test_a_repository_is_hosted_as_one_commit(clock, reviewer, reader, path, store):
    uploaded = body_of(put(reviewer, f"{path}/repository", pack(FILES)))
    repository = uploaded["repository"]
    assert repository["createdAt"] == "2026-04-01T09:00:00.000Z"
    assert body_of(reader.get(f"{path}/repository")) == uploaded
    (file,) = bundle_files(store.folder)
    content = file.read_bytes()
    assert (len(content), hashlib.sha256(content).hexdigest()) == (repository["size"], repository["sha256"])
    assert content.startswith(f"# v2 git bundle\n{repository['commitId']} HEAD\n".encode())
    with file.open("rb") as bundle, TemporaryFile() as exported:
        export_files(bundle, exported)
        with tarfile.open(fileobj=exported) as archive:
            modes = {entry.name: entry.mode for entry in archive if entry.isreg()}
    assert modes == {"app.py": 0o644, "run.sh": 0o755}
    (shown,) = body_of(reader.get(path)).values()
    assert (shown["repoUrl"], shown["repoCommit"], shown["repository"]) == (None, None, repository)
    again = body_of(put(reviewer, f"{path}/repository", pack(FILES, "tar.gz"), "tar.gz"))["repository"]
    assert again["id"] != repository["id"]
    assert again["commitId"] == repository["commitId"]


def test_hidden_tests_show_their_settings_with_defaults(reviewer, path):
    tests = body_of(put(reviewer, f"{path}/tests", pack_tests()))["tests"]
    assert (tests["settings"], tests["fileCount"]) == (SETTINGS | DEFAULTS, 2)
    assert body_of(reviewer.get(f"{path}/tests"))["tests"] == tests
    again = body_of(put(reviewer, f"{path}/tests", pack_tests()))["tests"]
    assert again["sha256"] == tests["sha256"]


def test_in_process_tests_copy_all_files_by_default(reviewer, path):
    settings = {"version": 1, "command": "node --test", "framework": "node", "limits": {"seconds": 5}}
    shown = body_of(put(reviewer, f"{path}/tests", pack_tests(settings)))["tests"]["settings"]
    assert shown["files"] == [{"from": ".", "to": "."}]
    assert shown["limits"] == DEFAULTS["limits"] | {"seconds": 5}


def test_documented_settings_are_valid():
    page = (Path(__file__).parents[3] / "docs" / "tasks.md").read_text(encoding="utf-8")
    settings = [json.loads(block) for block in re.findall("(?s)```json\n(.*?)```", page)]
    assert [TestSettings().load(each)["serve"] is None for each in settings] == [False, True]


@pytest.mark.parametrize(
    ("changes", "path_in_settings"),
    [
        ({"version": 2}, ["version"]),
        ({"command": " "}, ["command"]),
        ({"limits": {"seconds": 0}}, ["limits", "seconds"]),
        ({"limits": {"memory": 1}}, ["limits", "memory"]),
        ({"comand": "x"}, ["comand"]),
        ({"image": "--privileged"}, ["image"]),
        ({"framework": "pytest"}, ["framework"]),
        ({"report": "a.xml"}, ["report"]),
        ({"files": [{"from": ".", "to": "."}]}, ["files"]),
        ({"serve": None, "files": [{"from": "missing", "to": "."}]}, ["files", 0, "from"]),
        ({"serve": None, "files": [{"from": ".", "to": "../a"}]}, ["files", 0, "to"]),
        ({"command": "\0"}, ["command"]),
    ],
)
def test_invalid_settings_name_the_field(reviewer, assessment, store, changes, path_in_settings):
    response = put(reviewer, f"/v1/assessments/{assessment.id}/tests", pack_tests(SETTINGS | changes))
    assert error_paths(response) == [["tests", "tests.json", *path_in_settings]]


@pytest.mark.parametrize(
    ("kind", "content", "format", "message"),
    [
        ("repository", pack({"../a": ""}), "zip", "`../a` points outside the folder."),
        ("repository", b"PK", "zip", "The archive is not a zip archive, or it is damaged."),
        ("tests", pack({"a": ""}), "zip", "The archive has no `tests.json` in its root."),
        ("tests", pack({"tests.json": '{"a": 1, "a": 2}'}), "zip",
         "`tests.json` must be a JSON object in UTF-8, without repeated fields."),
        ("reference", pack({"a": "", "a/b": ""}, "tar.gz"), "tar.gz", "`a/b` is both a file and a folder."),
    ],
    ids=["path", "damaged", "without settings", "repeated field", "conflict"],
)  # fmt: skip
def test_unreadable_archives_are_rejected(reviewer, assessment, store, kind, content, format, message):
    response = put(reviewer, f"/v1/assessments/{assessment.id}/{kind}", content, format)
    assert error_of(response) == (400, "invalid_request")
    assert response.json["details"] == [{"path": [kind], "message": message}]
    assert error_of(reviewer.get(f"/v1/assessments/{assessment.id}/{kind}")) == (404, "not_found")


def test_other_content_types_and_sizes_are_rejected(reviewer, path):
    for kind, format in (("repository", "patch"), ("tests", "git"), ("reference", "git")):
        assert error_of(put(reviewer, f"{path}/{kind}", b"", format)) == (415, "unsupported_media_type")
    assert error_of(reviewer.put(f"{path}/tests", {})) == (415, "unsupported_media_type")
    assert error_of(put(reviewer, f"{path}/tests", bytes(20 * 2**20 + 1))) == (413, "too_large")
    assert error_of(put(reviewer, f"{path}/reference", bytes(5 * 2**20 + 1), "patch")) == (413, "too_large")


def test_a_patch_is_applied_to_the_repository(tmp_path, reviewer, path, store):
    folder = tmp_path / "repository"
    make_repository(folder, FILES)
    commit(folder, {"app.py": "2\n", "new.py": "3\n", "run.sh": None})
    patch = git(folder, "diff", "HEAD~1").encode() + b"\n"
    assert error_of(put(reviewer, f"{path}/reference", patch, "patch")) == (409, "no_repository")
    body_of(put(reviewer, f"{path}/repository", pack(FILES)))
    reference = body_of(put(reviewer, f"{path}/reference", patch, "patch"))["reference"]
    assert reference["fileCount"] == 3
    object_key = TaskFile.get_by_id(reference["id"]).object_key
    with store.open(object_key) as file, tarfile.open(fileobj=file, mode="r:gz") as archive:
        files = {name: archive.extractfile(name).read() for name in archive.getnames()}
    assert files == {"app.py": b"2\n", "new.py": b"3\n", ".deleted": b"run.sh\n"}
    body_of(put(reviewer, f"{path}/repository", pack(FILES | {"app.py": "0\n"})))
    rejected = put(reviewer, f"{path}/reference", patch, "patch")
    assert rejected.json["details"][0]["message"] == "Hunk 1 of `app.py` does not apply to the repository."


def test_replaced_and_deleted_files_are_removed(app, clock, reviewer, path, store):
    upload_all(reviewer, path)
    upload_all(reviewer, path)
    assert TaskFile.select().count() == 3
    remove_unused(app, store, clock)
    assert stored(store) == 3
    for kind in ("repository", "tests", "reference"):
        file_id = body_of(reviewer.get(f"{path}/{kind}"))[kind]["id"]
        assert body_of(reviewer.delete(f"{path}/{kind}")) == {"ok": True, "id": file_id}
        assert error_of(reviewer.delete(f"{path}/{kind}")) == (404, "not_found")
        assert error_of(reviewer.get(f"{path}/{kind}")) == (404, "not_found")
    remove_unused(app, store, clock)
    assert (stored(store), TaskFile.select().count()) == (0, 0)
    (shown,) = body_of(reviewer.get(path)).values()
    assert shown["repository"] is None


def test_a_deleted_assessment_or_problem_has_no_files(app, clock, reviewer, path, store):
    upload_all(reviewer, path)
    body_of(reviewer.delete(path))
    remove_unused(app, store, clock)
    assert (stored(store), TaskFile.select().count()) == (0, 0)


def test_a_file_without_a_row_is_removed(app, clock, reviewer, assessment, store, monkeypatch):
    def fail(*args, **kwargs):
        raise RuntimeError

    monkeypatch.setattr(TaskFile, "store", fail)
    response = put(reviewer, f"/v1/assessments/{assessment.id}/repository", pack(FILES))
    assert response.status_code == 500
    assert stored(store) == 1
    remove_unused(app, store, clock)
    assert stored(store) == 0


def test_files_that_something_refers_to_are_kept(app, clock, reviewer, assessment, store):
    path = f"/v1/assessments/{assessment.id}"
    upload_all(reviewer, path)
    session = make_session(make_key(assessment))
    session.update_columns(repository=TaskFile.find(assessment.id, "repository"))
    upload_all(reviewer, path)
    body_of(reviewer.delete(f"{path}/repository"))
    remove_unused(app, store, clock)
    (kept,) = TaskFile.select().where(TaskFile.replaced_at.is_null(False))
    assert (kept, stored(store)) == (session.repository, 3)


def test_an_assessment_shares_its_problems_files(app, clock, reviewer, problem, store):
    path = f"/v1/issues/{problem.id}"
    upload_all(reviewer, path)
    body_of(reviewer.delete(f"{path}/reference"))  # otherwise, the files are kept for a check
    body = {"title": "A", "role": "B", "issueId": str(problem.id)}
    assessment = body_of(reviewer.post("/v1/assessments", body), 201)["assessment"]
    assert assessment["repository"] is not None
    assert assessment["issue"]["repository"]["commitId"] == assessment["repository"]["commitId"]
    keys = {file.kind: file.object_key for file in TaskFile.current(assessment["id"])}
    assert keys == {file.kind: file.object_key for file in TaskFile.current(problem.id)}
    body_of(reviewer.delete(path))
    remove_unused(app, store, clock)
    assert stored(store) == 2
    body_of(reviewer.delete(f"/v1/assessments/{assessment['id']}"))
    remove_unused(app, store, clock)
    assert stored(store) == 0


@pytest.mark.parametrize("source", ["issueId", "templateId"])
def test_an_assessment_from_a_complete_task_is_checked(reviewer, problem, assessment, source):
    path, source_id = {
        "issueId": (f"/v1/issues/{problem.id}", problem.id),
        "templateId": (f"/v1/assessments/{assessment.id}", assessment.id),
    }[source]
    upload_all(reviewer, path)
    body = {"title": "A", "role": "B", "taskBrief": "C", source: str(source_id)}
    assessment = body_of(reviewer.post("/v1/assessments", body), 201)["assessment"]
    check = body_of(reviewer.get(f"/v1/assessments/{assessment['id']}/tests/check"))["check"]
    assert (check["state"], len(check["runs"])) == ("running", 6)


def test_a_templates_files_replace_the_problems_repository(app, clock, reviewer, problem, assessment, store):
    body_of(reviewer.patch(f"/v1/issues/{problem.id}", {"repoUrl": "https://example.com/a"}))
    path = f"/v1/assessments/{assessment.id}"
    body_of(put(reviewer, f"{path}/repository", pack(FILES)))
    body = {"title": "A", "role": "B", "issueId": str(problem.id), "templateId": str(assessment.id)}
    created = body_of(reviewer.post("/v1/assessments", body), 201)["assessment"]
    assert (created["repoUrl"], created["repository"] is not None) == (None, True)
    body_of(reviewer.delete(path))
    remove_unused(app, store, clock)
    assert stored(store) == 1


def test_an_assessment_with_its_own_url_shares_nothing(reviewer, problem, store):
    upload_all(reviewer, f"/v1/issues/{problem.id}")
    body = {"title": "A", "role": "B", "issueId": str(problem.id), "repoUrl": "https://example.com/b"}
    assessment = body_of(reviewer.post("/v1/assessments", body), 201)["assessment"]
    assert (assessment["repository"], assessment["repoUrl"]) == (None, "https://example.com/b")
    assert not TaskFile.current(assessment["id"]).exists()


def test_a_url_cannot_be_set_while_the_repository_is_hosted(reviewer, path):
    body_of(put(reviewer, f"{path}/repository", pack(FILES)))
    for change in ({"repoUrl": "https://example.com/b"}, {"repoCommit": "2" * 40}):
        assert error_of(reviewer.patch(path, change)) == (409, "repository_hosted")
    template = path.rpartition("/")[2]
    body = {"title": "A", "role": "B", "taskBrief": "C", "templateId": template, "repoCommit": "2" * 40}
    if "assessments" in path:
        assert error_of(reviewer.post("/v1/assessments", body)) == (409, "repository_hosted")
        assert Assessment.select().count() == 1
    body_of(reviewer.patch(path, {"title": "Other", "repoUrl": None}))
    body_of(reviewer.delete(f"{path}/repository"))
    body_of(reviewer.patch(path, {"repoUrl": "https://example.com/b"}))


def test_a_repository_can_be_replaced_after_the_start_but_not_an_external_one(
    reviewer, organization, assessment, store
):
    make_session(make_key(assessment))
    for content in (FILES, FILES | {"b": ""}):
        body_of(put(reviewer, f"/v1/assessments/{assessment.id}/repository", pack(content)))
    external = make_assessment(organization, repo_url="https://example.com/a")
    make_session(make_key(external))
    response = put(reviewer, f"/v1/assessments/{external.id}/repository", pack(FILES))
    assert error_of(response) == (409, "already_started")


def test_candidates_do_not_see_the_files(app, reviewer, problem, store):
    upload_all(reviewer, f"/v1/issues/{problem.id}")
    body = {"title": "A", "role": "B", "issueId": str(problem.id)}
    created = body_of(reviewer.post("/v1/assessments", body), 201)["assessment"]
    session = make_session(make_key(make_assessment(problem.organization, issue_id=problem.id)))
    assert created["id"] != str(session.assessment_id)
    candidate = Caller.candidate(app, session.key)
    path = f"/v1/assessments/{session.assessment_id}"
    for kind in ("repository", "tests", "reference"):
        assert candidate.get(f"{path}/{kind}").status_code == 401
    for shown in (path, f"/v1/issues/{problem.id}"):
        assert "sha256" not in candidate.get(shown).text
        assert "repository" not in candidate.get(shown).text


def test_only_reviewers_change_files_and_everybody_in_the_organization_reads_metadata(
    app, organization, reviewer, reader, neighbour, path
):
    upload = f"{path}/tests"
    assert put(neighbour, upload, pack_tests()).status_code == 404
    assert put(reader, upload, pack_tests()).status_code == 403
    observer = Caller.person(app, make_person(organization, "observer"))
    assert put(observer, upload, pack_tests()).status_code == 403
    body_of(put(reviewer, upload, pack_tests()))
    assert observer.get(upload).status_code == 200
    assert reader.delete(upload).status_code == 403
    assert neighbour.delete(upload).status_code == 404
    action = "receiveAssessmentTests" if "assessments" in path else "receiveIssueTests"
    assert AuditEntry.select().where(AuditEntry.action == action).count() == 1


@pytest.fixture
def shipped(tmp_path, monkeypatch):
    """A problem as in data/problems/."""
    folder = tmp_path / "problems" / "tiny"
    for name, content in {
        "repository/app.py": "1\n",
        "repository/run.sh": "#!/bin/sh\n",
        "tests/tests.json": json.dumps(SETTINGS),
        "tests/serve/serve.py": "",
        "reference/app.py": "2\n",
        "reference/__pycache__/app.pyc": "x",
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    (folder / "repository/run.sh").chmod(0o755)
    levels = [{"value": 1, "label": "Weak"}, {"value": 2, "label": "Strong"}]
    rubric = {"name": "Tiny", "criteria": [{"key": "quality", "title": "Quality", "levels": levels}]}
    values = {"id": "0a1b2c3d-ab07-4ee7-99e7-6b3721e9db88", "title": "Tiny", "taskBrief": "Return 2."}
    values |= {"rubric": rubric, "timeLimitMinutes": 60}
    (folder / "problem.yaml").write_text(json.dumps(values))
    monkeypatch.setattr(problems, "PROBLEMS", folder.parent)
    return values


def test_a_shipped_problem_gives_an_assessment_everything(reviewer, store, shipped):
    catalog = admin.import_catalog(admin.CATALOG)
    assert catalog > 1
    path = f"/v1/issues/{shipped['id']}"
    assert body_of(reviewer.get(path))["issue"]["isCatalog"]
    assert error_of(put(reviewer, f"{path}/tests", pack_tests())) == (404, "not_found")
    body = {"title": "A", "role": "B", "issueId": shipped["id"]}
    first, second = (body_of(reviewer.post("/v1/assessments", body), 201)["assessment"] for _ in range(2))
    assert (first["timeLimitMinutes"], first["taskBrief"]) == (60, "Return 2.")
    assert first["rubricId"] == second["rubricId"]
    rubric = body_of(reviewer.get(f"/v1/rubrics/{first['rubricId']}"))["rubric"]
    assert (rubric["name"], rubric["criteria"][0]["weight"]) == ("Tiny", 1)
    assert first["repository"]["commitId"] == second["repository"]["commitId"]
    tests = body_of(reviewer.get(f"/v1/assessments/{first['id']}/tests"))["tests"]
    assert (tests["settings"], tests["fileCount"]) == (SETTINGS | DEFAULTS, 2)
    reference = body_of(reviewer.get(f"/v1/assessments/{first['id']}/reference"))["reference"]
    assert reference["fileCount"] == 1
    assert (stored(store), Delivery.select().count()) == (6, 0)


def test_an_assessment_can_differ_from_its_shipped_problem(reviewer, store, shipped):
    admin.import_catalog(admin.CATALOG)
    body = {"title": "A", "role": "B", "issueId": shipped["id"], "timeLimitMinutes": 30}
    assert body_of(reviewer.post("/v1/assessments", body), 201)["assessment"]["timeLimitMinutes"] == 30
    body |= {"repoUrl": "https://example.com/a"}
    own = body_of(reviewer.post("/v1/assessments", body), 201)["assessment"]
    assert (own["repository"], own["rubricId"], stored(store)) == (None, None, 3)


@pytest.mark.parametrize("headers", [{}, {"Idempotency-Key": "one"}])
def test_a_rejected_assessment_leaves_no_files(app, reviewer, organization, clock, store, shipped, headers):
    admin.import_catalog(admin.CATALOG)
    organization.update_columns(plan="trial")
    organization.subscribe("trialing")
    path, body = "/v1/assessments", {"title": "A", "role": "B", "issueId": shipped["id"]}
    while (response := reviewer.request("POST", path, json=body)).status_code == 201:
        pass
    assert error_of(response) == (403, "quota_exceeded")
    created = Assessment.select().count()
    assert error_of(reviewer.request("POST", path, json=body, headers=headers)) == (403, "quota_exceeded")
    clock.fixed += MAX_REQUEST_DURATION
    Worker(app.config, store).run_once()
    assert stored(store) == 3 * created
