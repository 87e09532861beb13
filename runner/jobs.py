"""One job, from its inputs to its result.

Out-of-process (the task has `serve`): the submission and the tests run in two sandboxes of different users that share
only a loopback network. In-process: the tests import the submission, so both are in one sandbox, and canaries detect
reports that the test tool did not write.
"""

import threading
import time
from pathlib import Path
from typing import Any

from runner import archives, reports
from runner.archives import Layer, Unusable, clean, compose
from runner.sandboxes import (
    SUBMISSION_USER,
    TESTS_USER,
    Aborted,
    Engine,
    EngineError,
    Limits,
    Running,
    Sandbox,
)

REPORT = "/report/junit.xml"
DELETED_FILES = ".deleted"
MAX_TESTS_BYTES = 256 << 20
# In-process: files that change how the test tool runs, unless they are hidden files.
TOOL_FILES = {
    "pytest": {"conftest.py", "pytest.ini", ".pytest.ini", "tox.ini", "sitecustomize.py", "usercustomize.py"},
    "node": {".npmrc", ".mocharc.json"},
}
# In-process: modules beside the tests that would be imported instead of the test tool.
TOOL_MODULES = ("pytest", "_pytest", "pluggy", "iniconfig", "py", "packaging", "pygments")
TOOL_ENVIRONMENT = {
    "pytest": {
        "PYTEST_ADDOPTS": "-c {} --rootdir=/work -p no:cacheprovider --continue-on-collection-errors",
        "PYTHONDONTWRITEBYTECODE": "1",
    },
    "node": {},
}


class Stopped(Exception):
    """The job ends here with this state."""

    def __init__(self, state: str, reason: str):
        super().__init__(reason)
        self.state, self.reason = state, reason


class Job:
    """A claimed job with its inputs in `folder`, which is removed by the caller."""

    def __init__(self, job: dict[str, Any], folder: Path, engine: Engine, abort: threading.Event):
        self.settings, self.inputs = job["settings"], job["inputs"]
        self.folder, self.engine, self.abort = folder, engine, abort
        limits = self.settings["limits"]
        self.limits = Limits(limits["memoryMb"], limits["diskMb"], limits["processes"], limits["cpus"])
        self.running: list[Running] = []

    def run(self) -> dict[str, Any]:
        """Return the body of the result. Raises Aborted."""
        start = time.monotonic()
        result: dict[str, Any] = {"state": "finished", "reason": None, "tests": [], "imageDigest": None}
        try:
            result["imageDigest"] = self.engine.image_digest(self.settings["image"])
            is_trusted, result["tests"] = self._run_stages()
            if not is_trusted:
                result |= {
                    "state": "untrusted",
                    "reason": "The report does not contain the canary tests' outcomes.",
                }
        except Stopped as stopped:
            result |= {"state": stopped.state, "reason": stopped.reason}
        except EngineError as error:
            result |= {"state": "failed", "reason": str(error)}
        finally:
            for running in reversed(self.running):
                running.remove()
        return result | {"durationMs": int((time.monotonic() - start) * 1000)}

    def _run_stages(self) -> tuple[bool, list[dict[str, Any]]]:
        work = self._submission()
        try:
            clean(self.folder / "tests.input", "tar.gz", tests := self.folder / "tests.tar", MAX_TESTS_BYTES)
        except Unusable as error:
            raise EngineError(f"Hidden tests: {error}") from error
        if self.settings["setup"]:
            work = self._set_up(work)
        if self.settings["serve"]:
            return True, self._out_of_process(work, tests)
        return self._in_process(work, tests)

    def _submission(self) -> Path:
        """Return a tar of the submission's files, with the reference applied."""
        work = self.folder / "work.tar"
        try:
            clean(self.folder / "work.input", self.inputs["work"]["format"], work, self.limits.disk_bytes)
        except Unusable as error:
            raise Stopped("finished", str(error)) from error
        if not self.inputs["reference"]:
            return work
        form, reference = self.inputs["reference"]["format"], self.folder / "reference.tar"
        try:
            clean(self.folder / "reference.input", form, reference, self.limits.disk_bytes)
        except Unusable as error:
            raise EngineError(f"Reference: {error}") from error
        deleted = set(archives.read(reference, DELETED_FILES).decode().splitlines())
        compose(
            target := self.folder / "applied.tar",
            [
                Layer(work, lambda name: None if name in deleted else name),
                Layer(reference, without(DELETED_FILES)),
            ],
        )
        return target

    def _set_up(self, work: Path) -> Path:
        """Run the setup command, and return a tar of the submission's files after it."""
        self._compose("setup", [Layer(work, below("work"))])
        setup = self._start(
            "setup",
            command=self.settings["setup"],
            seconds=self.settings["limits"]["setupSeconds"],
            folders=("/work",),
            collect="tar -cf - -C /work .",
            # Headers, and the padding of small files
            max_collected_bytes=2 * self.limits.disk_bytes + (32 << 20),
            network=self.settings["setupNetwork"],
        )
        self._finish(setup, "Setup")
        setup.remove()
        if setup.process.returncode != 0:
            raise Stopped("finished", explain("Setup failed.", setup))
        collected, target = self.folder / "collected.tar", self.folder / "ready.tar"
        with setup.sandbox.output.open("rb") as source, collected.open("wb") as copy:
            source.seek(2)
            while block := source.read(1 << 20):
                copy.write(block)
        try:
            clean(collected, "tar", target, self.limits.disk_bytes)
        except Unusable as error:
            raise Stopped("finished", f"After setup: {error}") from error
        return target

    def _out_of_process(self, work: Path, tests: Path) -> list[dict[str, Any]]:
        self._compose(
            "tests", [Layer(tests, lambda name: None if is_in(name, "serve") else f"tests/{name}", True)]
        )
        self._compose("submission", [Layer(work, below("work")), Layer(tests, only("serve"), True)])
        run = self._start(
            "tests",
            command=self.settings["command"],
            user=TESTS_USER,
            folders=("/tests", "/report"),
            environment={"REPORT": REPORT},
            collect=f"cat {REPORT}",
            max_collected_bytes=reports.MAX_REPORT_BYTES,
        )
        run.wait_until_started(self.abort)
        submission = self._start(
            "submission", command=self.settings["serve"], folders=("/work", "/serve"), joins=run
        )
        self._finish(run, "Testing")
        submission.remove()
        self._require_start(submission)
        return self._read_report(run, submission)

    def _in_process(self, work: Path, tests: Path) -> tuple[bool, list[dict[str, Any]]]:
        framework, report = self.settings["framework"], self.settings["report"]
        layers = [Layer(work, lambda name: None if is_tool_file(name, framework) else f"work/{name}")]
        layers += [Layer(tests, move(entry)) for entry in self.settings["files"]]
        environment = {"REPORT": f"/work/{report}" if report else REPORT}
        files: dict[str, bytes] = {}
        canary = None
        if framework:
            hidden = [entry.name for layer in layers[1:] for entry, _ in layer.entries() if entry.isreg()]
            canary = reports.Canary(framework)
            files[f"{test_folder(hidden)}/{canary.file_name}"] = canary.content
            # The task's own configuration, or none.
            configuration = "work/pytest.ini" if "work/pytest.ini" in hidden else "report/pytest.ini"
            if framework == "pytest" and configuration not in hidden:
                files[configuration] = b"[pytest]\n"
            values = TOOL_ENVIRONMENT[framework].items()
            environment |= {name: value.format(f"/{configuration}") for name, value in values}
        self._compose("tests", layers, files)
        run = self._start(
            "tests",
            command=self.settings["command"],
            folders=("/work", "/report"),
            environment=environment,
            collect='cat "$REPORT"',
            max_collected_bytes=reports.MAX_REPORT_BYTES,
        )
        self._finish(run, "Testing")
        found = self._read_report(run)
        if not canary:
            return True, found
        others, is_right = canary.remove_from(found)
        # A run that earns nothing, such as one that crashed, has nothing to distrust.
        return is_right or not any(test["outcome"] == "passed" for test in others), others

    # -- One sandbox -----------------------------------------------------------------------------------

    def _compose(self, name: str, layers: list[Layer], files: dict[str, bytes] | None = None) -> None:
        compose(self.folder / f"{name}.files", layers, files)

    def _start(self, name: str, command: str, user: int = SUBMISSION_USER, **options: Any) -> Running:
        if self.abort.is_set():
            raise Aborted
        options.setdefault("seconds", self.settings["limits"]["seconds"])
        sandbox = Sandbox(
            name=name,
            command=command,
            user=user,
            limits=self.limits,
            files=self.folder / f"{name}.files",
            output=self.folder / f"{name}.output",
            image=self.settings["image"],
            **options,
        )
        running = self.engine.start(sandbox)
        self.running.append(running)
        return running

    def _finish(self, running: Running, name: str) -> None:
        """Wait for the end of a sandbox; raise Stopped or EngineError if it has no result."""
        if not running.wait(self.abort):
            raise Stopped("timed_out", f"{name} took longer than {running.sandbox.seconds} seconds.")
        self._require_start(running)
        if running.excess:
            raise Stopped("finished", running.excess)

    def _require_start(self, running: Running) -> None:
        if running.progress() == 0:
            raise EngineError(explain("The sandbox did not start.", running))
        if running.progress() == 1:
            raise Stopped("finished", explain("The files cannot be unpacked within the limits.", running))

    def _read_report(self, run: Running, submission: Running | None = None) -> list[dict[str, Any]]:
        report = run.output(2, reports.MAX_REPORT_BYTES + 1)
        if not report:
            raise Stopped("finished", explain("The tests wrote no report.", run, submission))
        try:
            return reports.parse(report)
        except reports.Unreadable as error:
            raise Stopped("finished", str(error)) from error


def explain(what: str, *running: Running | None) -> str:
    """Return a reason with the end of the sandboxes' output."""
    texts = [f"{each.sandbox.name}: {each.last_output()}" for each in running if each and each.last_output()]
    return "\n".join([what, *texts])


def is_in(name: str, folder: str) -> bool:
    return name == folder or name.startswith(f"{folder}/")


def below(folder: str):
    return lambda name: f"{folder}/{name}"


def only(folder: str):
    return lambda name: name if is_in(name, folder) and name != folder else None


def without(path: str):
    return lambda name: None if name == path else name


def move(entry: dict[str, str]):
    """Return the renaming for an entry of `files`: {"from": "tests", "to": "tests"}."""
    source, target = entry["from"].strip("/"), entry["to"].strip("/")

    def rename(name: str) -> str | None:
        if name == "tests.json":
            return None
        if source in (".", ""):
            inner = name
        elif is_in(name, source):
            inner = name[len(source) + 1 :]
        else:
            return None
        return "/".join(part for part in ("work", target, inner) if part not in ("", "."))

    return rename


def is_tool_file(name: str, framework: str | None) -> bool:
    """Return whether a candidate's file would change how the test tool runs."""
    if not framework:
        return False
    first = name.partition("/")[0].removesuffix(".py")
    return name.rpartition("/")[2] in TOOL_FILES[framework] or (
        framework == "pytest" and first in TOOL_MODULES
    )


def test_folder(hidden: list[str]) -> str:
    """Return the folder of the first hidden test file, where the test tool also finds the canaries."""
    tests = [name for name in sorted(hidden) if "test" in name.rpartition("/")[2]]
    return tests[0].rpartition("/")[0] if tests else "work"
