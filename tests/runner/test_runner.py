"""The runner's loop: restarts of the service, lost claims, signals, kill -9; and its limits."""

import signal
import time

import pytest

from tests.runner.attacks import HIDDEN, RUN
from tests.runner.conftest import with_sandboxes
from tests.runner.service import pack

pytestmark = [pytest.mark.slow, with_sandboxes]
REPORT = "open(os.environ['REPORT'], 'w').write('<testsuite><testcase name=\"a\"/></testsuite>')\n"
QUICK = pack({"run.py": f"import os\n{REPORT}"})
LONG = pack({"run.py": f"import os, time\ntime.sleep(4)\n{REPORT}"})
ENDLESS = pack({"run.py": "import time\ntime.sleep(3600)\n"})
EMPTY = pack({})


def outcomes(result):
    return {test["name"]: test["outcome"] for test in result["tests"]}


def test_a_job_is_reported_after_a_restart_of_the_service(stopped_runner):
    service = stopped_runner.service
    service.failures = [503, 502, 503]
    service.add(EMPTY, QUICK)
    stopped_runner.start("--once")
    service.wait_for(lambda: service.results)
    assert outcomes(service.results[0]) == {"a": "passed"}
    assert service.claims[-1]["engine"] == stopped_runner.engine
    assert stopped_runner.process.wait(30) == 0
    assert stopped_runner.leftovers() == []


def test_heartbeats_are_sent_and_a_lost_claim_ends_the_job(stopped_runner):
    service = stopped_runner.service
    number = service.add(EMPTY, ENDLESS)
    stopped_runner.start()
    service.wait_for(lambda: service.heartbeats)
    service.lost.add(number)
    other = service.add(EMPTY, QUICK)
    service.wait_for(lambda: service.results)
    assert [result["id"] for result in service.results] == [other]


def test_the_first_signal_finishes_the_job_and_the_second_gives_it_up(stopped_runner):
    service = stopped_runner.service
    service.add(EMPTY, LONG)
    stopped_runner.start()
    service.wait_for(lambda: service.heartbeats)
    assert stopped_runner.stop()[0] == 0
    assert len(service.results) == 1
    service.add(EMPTY, ENDLESS)
    stopped_runner.start()
    before = service.heartbeats
    service.wait_for(lambda: service.heartbeats > before)
    stopped_runner.process.send_signal(signal.SIGTERM)
    assert any("Stopping after" in line for line in stopped_runner.process.stderr)
    time.sleep(0.2)
    assert stopped_runner.stop()[0] == 0
    assert len(service.results) == 1
    assert stopped_runner.leftovers() == []


def test_the_next_start_removes_what_a_killed_runner_left(stopped_runner):
    service = stopped_runner.service
    tests = pack(HIDDEN | {"run.py": "import time\ntime.sleep(3600)\n"})
    service.add(pack({"main.py": "import time\ntime.sleep(3600)"}), tests, serve="exec python3 /work/main.py")
    stopped_runner.start()
    service.wait_for(lambda: service.heartbeats > 2)
    stopped_runner.stop(signal.SIGKILL)
    assert stopped_runner.leftovers() != []
    service.add(EMPTY, QUICK)
    stopped_runner.start("--once")
    assert stopped_runner.process.wait(60) == 0
    assert outcomes(service.results[0]) == {"a": "passed"}
    assert stopped_runner.leftovers() == []


def test_a_revoked_token_ends_the_runner(stopped_runner):
    stopped_runner.start(RUNNER_TOKEN="psr_revoked")
    _, log = stopped_runner.process.communicate(timeout=30)
    assert stopped_runner.process.returncode == 1
    assert "invalid or was revoked" in log
    assert "psr_revoked" not in log


def test_output_of_a_job_is_not_in_the_log(stopped_runner):
    stopped_runner.start()
    command = r"printf '\033[2JHIDDEN\n12:00:00 Job 2: finished'; exit 1"
    assert "HIDDEN" in stopped_runner.run(work=EMPTY, tests=QUICK, command=command)["reason"]
    _, log = stopped_runner.stop()
    assert "The tests wrote no report" in log
    assert [word for word in ("\033", "HIDDEN", "Job 2") if word in log] == []


def test_the_reference_replaces_adds_and_deletes_files(running):
    script = """
import os, pathlib
names = sorted(path.name for path in pathlib.Path(".").iterdir())
text = pathlib.Path("a").read_text()
open(os.environ["REPORT"], "w").write(f'<testsuite><testcase name="{names} {text}"/></testsuite>')
"""
    work = pack({"a": "old", "b": "b", "c": "c"}, "w")
    reference = pack({"a": "new", "d": "d", ".deleted": "b\n"})
    tests = pack({"run.py": script})
    result = running.run(work=work, form="tar", tests=tests, reference=reference)
    assert outcomes(result) == {"['a', 'c', 'd', 'run.py'] new": "passed"}


def test_a_command_without_a_report_says_why(running):
    result = running.run(work=EMPTY, tests=QUICK, command="echo broken; exit 3")
    assert (result["state"], result["tests"]) == ("finished", [])
    assert result["reason"] == "The tests wrote no report to $REPORT.\ntests: broken"


def test_bubblewrap_gives_no_network_to_setup(running):
    if running.engine != "bubblewrap":
        pytest.skip("podman has networks")
    result = running.run(work=EMPTY, tests=QUICK, setup="true", setupNetwork=True)
    assert result["state"] == "failed"
    assert "network" in result["reason"]


def test_the_submission_and_the_tests_are_different_users(running):
    tests = HIDDEN | {
        "run.py": RUN.replace("escape(", "escape(str(os.getuid()) + ' ' + "),
        "serve/serve.py": "import os, http.server\n"
        "class H(http.server.BaseHTTPRequestHandler):\n"
        "    def do_GET(self):\n"
        "        self.send_response(200)\n"
        "        self.end_headers()\n"
        "        self.wfile.write(str(os.getuid()).encode())\n"
        "http.server.HTTPServer(('127.0.0.1', 8000), H).serve_forever()\n",
    }
    result = running.run(work=EMPTY, tests=pack(tests), serve="exec python3 /serve/serve.py")
    assert result["tests"][0]["output"] == "64702 64701"
