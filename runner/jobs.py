"""One job, from its inputs to its result.

Out-of-process (the task has `serve`): the submission and the tests run in two sandboxes of different users that share
only a loopback network. In-process: the tests import the submission, so both are in one sandbox, and canaries detect
reports that the test tool did not write.
"""

import posixpath
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from runner import EngineError, Unusable, reports
from runner.archives import clean, compose, read_entries
from runner.sandboxes import SUBMISSION_USER, TESTS_USER, Engine, Running, Sandbox

REPORT = "/report/junit.xml"
MAX_TESTS_MB = 256
# A tar file in the reference with the paths that the reference deletes.
DELETED_PATHS = ".deleted"
# In-process: the candidate's files that change how the test tool runs (in any folder), and files and folders in the
# root that change it or are imported in its place.
TOOL_FILES = {
    "pytest": {"conftest.py", "pytest.ini", ".pytest.ini", "tox.ini", "sitecustomize.py", "usercustomize.py"}
}
TOOL_MODULES = ("pytest", "_pytest", "pluggy", "iniconfig", "packaging", "pygments", "py")
ROOT_FILES = {
    "pytest": {f"{name}{end}" for name in TOOL_MODULES for end in ("", ".py")},
    "node": {".npmrc", "package.json"},
}
PYTEST_OPTIONS = "--rootdir=/work -p no:cacheprovider --continue-on-collection-errors"


class TimedOut(Exception):
    """A sandbox took too long."""


class Job:
    """A claimed job with its inputs in `folder`, which the caller removes."""

    def __init__(self, job: dict[str, Any], folder: Path, engine: Engine, abort: threading.Event):
        self.settings, self.inputs = job["settings"], job["inputs"]
        self.limits = self.settings["limits"]
        self.folder, self.engine, self.abort = folder, engine, abort
        self.running: list[Running] = []

    def run(self) -> dict[str, Any]:
        """Return the result, as the runner API expects it. Raises Aborted."""
        tests: list[dict[str, Any]] = []
        state, reason, digest = "finished", None, None
        try:
            digest = self.engine.image_digest(self.settings["image"])
            work, hidden = self.read_inputs()
            if self.settings["setup"]:
                work = self.set_up(work)
            if self.settings["serve"]:
                tests = self.run_out_of_process(work, hidden)
            else:
                tests, is_trusted = self.run_in_process(work, hidden)
                if not is_trusted:
                    state, reason = "untrusted", "The report lacks the outcomes of the canary tests."
        except Unusable as error:
            reason = str(error)
        except TimedOut as error:
            state, reason = "timed_out", str(error)
        except EngineError as error:
            state, reason = "failed", str(error)
        finally:
            # The sandbox that joined another one's network first.
            for running in reversed(self.running):
                running.remove()
        return {"state": state, "reason": reason, "tests": tests, "imageDigest": digest}

    def read_inputs(self) -> tuple[Path, Path]:
        """Return plain tars of the submission, with the reference applied, and of the hidden files."""
        tars = {}
        for name, entry in self.inputs.items():
            if entry:
                source, target = self.folder / f"{name}.input", self.folder / f"{name}.tar"
                max_mb = MAX_TESTS_MB if name == "tests" else self.limits["diskMb"]
                tars[name] = clean(source, entry["format"], target, max_mb)
        if "reference" not in tars:
            return tars["work"], tars["tests"]
        deleted: set[str] = set()
        for entry, content in read_entries(tars["reference"]):
            if entry.name == DELETED_PATHS and content:
                deleted.update(content.read().decode().splitlines())
        changed = self.folder / "changed.tar"
        work = (tars["work"], lambda name: None if name in deleted else name)
        reference = (tars["reference"], lambda name: None if name == DELETED_PATHS else name)
        return compose(changed, work, reference), tars["tests"]

    def set_up(self, work: Path) -> Path:
        """Run the setup command on the submission, and return a tar of its files afterwards."""
        compose(self.folder / "setup.files", (work, below("work")))
        max_mb = 2 * self.limits["diskMb"] + 32  # contents, headers and padding
        options = {"collect": "tar -cf - -C /work .", "max_collected_mb": max_mb}
        options |= {"seconds": self.limits["setupSeconds"], "network": self.settings["setupNetwork"]}
        setup = self.start("setup", self.settings["setup"], ("/work",), **options)
        self.finish(setup)
        if setup.process.returncode:
            raise Unusable(explain("Setup failed.", setup))
        return clean(setup.sandbox.output, "tar", self.folder / "ready.tar", self.limits["diskMb"])

    def run_out_of_process(self, work: Path, hidden: Path) -> list[dict[str, Any]]:
        tests_only = (hidden, lambda name: None if is_in(name, "serve") else f"tests/{name}", True)
        serve_only = (hidden, lambda name: name if name.startswith("serve/") else None, True)
        compose(self.folder / "tests.files", tests_only)
        compose(self.folder / "submission.files", (work, below("work")), serve_only)
        tests = self.start_tests(("/tests", "/report"), TESTS_USER, {"REPORT": REPORT})
        tests.wait(self.abort, lambda: tests.progress > 0)
        submission = self.start("submission", self.settings["serve"], ("/work", "/serve"), joins=tests)
        self.finish(tests, submission)
        return self.read_report(tests, submission)

    def run_in_process(self, work: Path, hidden: Path) -> tuple[list[dict[str, Any]], bool]:
        framework, report = self.settings["framework"], self.settings["report"]
        layers = [(hidden, move(entry["from"], entry["to"])) for entry in self.settings["files"]]
        names = [entry.name for layer in layers for entry, _ in read_entries(*layer) if entry.isreg()]
        environment = {"REPORT": f"/work/{report}" if report else REPORT}
        files, canary = {}, None
        if framework:
            canary = reports.Canary(framework)
            # Beside the first test, where the test tool also looks for others.
            first = min((name for name in names if "test" in name.rpartition("/")[2]), default="work/test")
            files[f"{first.rpartition('/')[0]}/{canary.file_name}"] = canary.content
        if framework == "pytest":
            configuration = "work/pytest.ini"
            if configuration not in names:
                files[configuration] = b"[pytest]\n"
            environment["PYTEST_ADDOPTS"] = f"-c /{configuration} {PYTEST_OPTIONS}"
            environment["PYTHONDONTWRITEBYTECODE"] = "1"
        own = (work, lambda name: None if is_tool_file(name, framework) else f"work/{name}")
        compose(self.folder / "tests.files", own, *layers, files=files)
        tests = self.start_tests(("/work", "/report"), SUBMISSION_USER, environment)
        self.finish(tests)
        found = self.read_report(tests)
        if not canary:
            return found, True
        others, is_right = canary.remove_from(found)
        # Without a passed test, there is nothing to distrust.
        return others, is_right or all(test["outcome"] != "passed" for test in others)

    # -- One sandbox -----------------------------------------------------------------------------------

    def start_tests(self, folders: tuple[str, ...], user: int, environment: dict[str, str]) -> Running:
        collect = 'test ! -e "$REPORT" || cat "$REPORT"'
        options = {"collect": collect, "max_collected_mb": reports.MAX_REPORT_MB, "environment": environment}
        return self.start("tests", self.settings["command"], folders, user, **options)

    def start(
        self, name: str, command: str, folders: tuple[str, ...], user: int = SUBMISSION_USER, **options: Any
    ) -> Running:
        options = {"seconds": self.limits["seconds"], "image": self.settings["image"]} | options
        files, output = self.folder / f"{name}.files", self.folder / f"{name}.output"
        sandbox = Sandbox(name, command, user, self.limits, folders, files, output, **options)
        running = self.engine.start(sandbox)
        self.running.append(running)
        return running

    def finish(self, running: Running, *joined: Running) -> None:
        """Wait for a sandbox's end, and remove it and those that joined its network."""
        running.wait(self.abort)
        if running.excess:
            raise Unusable(running.excess)
        if running.process.poll() is None:
            sandbox = running.sandbox
            raise TimedOut(f"{sandbox.name.capitalize()} took longer than {sandbox.seconds} seconds.")
        for each in (*joined, running):
            each.remove()
            self.running.remove(each)
        for each in (running, *joined):
            if each.progress == 0:
                raise EngineError(explain("A sandbox did not start.", running, *joined))
            if each.progress == 1:
                raise Unusable(explain("The files cannot be unpacked within the limits.", each))

    def read_report(self, tests: Running, *others: Running) -> list[dict[str, Any]]:
        if report := tests.sandbox.output.read_bytes():
            return reports.parse(report)
        raise Unusable(explain("The tests wrote no report to $REPORT.", tests, *others))


def explain(reason: str, *running: Running) -> str:
    """Return the reason with the end of the sandboxes' output."""
    outputs = [(each.sandbox.name, each.tail.decode("utf-8", "replace").strip()) for each in running]
    return "\n".join([reason, *(f"{name}: {text}" for name, text in outputs if text)])


def is_in(name: str, folder: str) -> bool:
    return name == folder or name.startswith(f"{folder}/")


def below(folder: str) -> Callable[[str], str]:
    return lambda name: f"{folder}/{name}"


def move(source: str, target: str) -> Callable[[str], str | None]:
    """Return the new names for an entry of `files`, which moves a file or folder to a place below /work."""
    source, target = ("" if path == "." else path for path in map(posixpath.normpath, (source, target)))

    def rename(name: str) -> str | None:
        if name == "tests.json" or (source and not is_in(name, source)):
            return None
        inner = name[len(source) :].strip("/")
        return "/".join(part for part in ("work", target, inner) if part)

    return rename


def is_tool_file(name: str, framework: str) -> bool:
    """Return whether a candidate's file could change how the test tool runs."""
    parts = name.split("/")
    return parts[-1] in TOOL_FILES.get(framework, ()) or parts[0] in ROOT_FILES.get(framework, ())
