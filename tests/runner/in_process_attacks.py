"""Submissions that attack the test tool in whose process they run: `add` never returns the sum."""

# ruff: noqa: E501

ADD = "def add(a, b):\n    return 0\n"
FORGED = '<testsuite><testcase classname="tests.test_sum" name="test_sum" time="0.1"/></testsuite>'
WRITE = "import os\nopen(os.environ['REPORT'], 'w').write({!r})\nos._exit(0)\n"
PASS_ALL = "import pytest\n@pytest.hookimpl(hookwrapper=True)\ndef pytest_runtest_makereport():\n    (yield).get_result().outcome = 'passed'\n"
BOMB = (
    '<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa">'
    + "".join(
        f'<!ENTITY {name} "{f"&{previous};" * 10}">'
        for previous, name in zip("abcdefgh", "bcdefghi", strict=True)
    )
    + ']><testsuite><testcase name="test_sum">&i;</testcase></testsuite>'
)

# Name: (framework, files, state).
IN_PROCESS = {
    "forged report": ("pytest", {"app.py": WRITE.format(FORGED)}, "untrusted"),
    "patched pytest": (
        "pytest",
        {"app.py": ADD + "import _pytest.python\n_pytest.python.Function.runtest = lambda self: None\n"},
        "untrusted",
    ),
    "conftest": (
        "pytest",
        {"app.py": ADD, "conftest.py": PASS_ALL, "tests/conftest.py": PASS_ALL},
        "finished",
    ),
    "pytest.ini": (
        "pytest",
        {"app.py": ADD, "cheat.py": PASS_ALL, "pytest.ini": "[pytest]\naddopts = -p cheat\n"},
        "finished",
    ),
    "pyproject.toml": (
        "pytest",
        {
            "app.py": ADD,
            "cheat.py": PASS_ALL,
            "pyproject.toml": "[tool.pytest.ini_options]\naddopts = '-p cheat'\n",
        },
        "finished",
    ),
    "setup.cfg and tox.ini": (
        "pytest",
        {
            "app.py": ADD,
            "cheat.py": PASS_ALL,
            "setup.cfg": "[tool:pytest]\naddopts = -p cheat\n",
            "tox.ini": "[pytest]\naddopts = -p cheat\n",
        },
        "finished",
    ),
    "sitecustomize": (
        "pytest",
        {
            "app.py": ADD,
            "sitecustomize.py": WRITE.format(FORGED),
            "usercustomize.py": WRITE.format(FORGED),
            "x.pth": "import os; os._exit(0)\n",
        },
        "finished",
    ),
    "module named pytest": (
        "pytest",
        {
            "app.py": ADD,
            "pytest.py": WRITE.format(FORGED),
            "_pytest/__init__.py": WRITE.format(FORGED),
            "pluggy/__init__.py": WRITE.format(FORGED),
        },
        "finished",
    ),
    "own hidden file": (
        "pytest",
        {"app.py": ADD, "tests/test_sum.py": "def test_sum():\n    pass\n"},
        "finished",
    ),
    "link instead of the tests": (
        "pytest",
        {"app.py": ADD, "own/test_sum.py": "def test_sum():\n    pass\n", "tests": "LINK own"},
        "finished",
    ),
    "entity bomb": ("pytest", {"app.py": WRITE.format(BOMB)}, "finished"),
    "huge report": (
        "pytest",
        {"app.py": WRITE.format("<testsuite>" + "<testcase/>" * 900_000).replace("')", "' )")},
        "finished",
    ),
    # Escaped, these would be 24 MB of JSON.
    "long names": (
        "pytest",
        {
            "app.py": "import os\n"
            + "tests = ['<testcase name=\"%d%s\"/>' % (n, 'é' * 390) for n in range(9999)]\n"
            + "open(os.environ['REPORT'], 'w').write('<t>' + ''.join(tests) + '</t>')\nos._exit(0)\n"
        },
        "untrusted",
    ),
    "deep report": ("pytest", {"app.py": WRITE.format("<a>" * 200_000)}, "finished"),
    "report is a link": (
        "pytest",
        {"app.py": "import os\nos.symlink('/proc/1/environ', os.environ['REPORT'])\nos._exit(0)\n"},
        "finished",
    ),
    "report is endless": (
        "pytest",
        {"app.py": "import os\nos.symlink('/dev/zero', os.environ['REPORT'])\nos._exit(0)\n"},
        "finished",
    ),
    "report is a pipe": (
        "pytest",
        {"app.py": "import os\nos.mkfifo(os.environ['REPORT'])\nos._exit(0)\n"},
        "timed_out",
    ),
    "report is a folder": (
        "pytest",
        {"app.py": "import os\nos.mkdir(os.environ['REPORT'])\nos._exit(0)\n"},
        "finished",
    ),
    "exit": ("pytest", {"app.py": "import os\nos._exit(0)\n"}, "finished"),
    "exit while importing": ("pytest", {"app.py": "raise SystemExit(0)\n"}, "finished"),
    "skip": (
        "pytest",
        {"app.py": "import pytest\npytest.skip('later', allow_module_level=True)\n"},
        "finished",
    ),
    "broken": ("pytest", {"app.py": "def add(:\n"}, "finished"),
    "honest and wrong": ("pytest", {"app.py": ADD}, "finished"),
    "killed parent": (
        "pytest",
        {"app.py": "import os\nos.kill(os.getppid(), 9)\nos.kill(-1, 9)\n"},
        "finished",
    ),
    "daemon that writes the report": (
        "pytest",
        {
            "app.py": ADD
            + "import os, time\nif os.fork() == 0:\n    os.setsid()\n    while True:\n"
            + f"        open(os.environ['REPORT'], 'w').write({FORGED!r})\n"
        },
        None,
    ),
    "patched node:test": (
        "node",
        {
            "app.mjs": "import assert from 'node:assert';\nassert.equal = () => {};\nexport const add = () => 0;\n"
        },
        None,
    ),
    "node exits": (
        "node",
        {"app.mjs": "import { writeSync } from 'node:fs';\nprocess.exit(0);\nexport const add = () => 0;\n"},
        None,
    ),
    "node configuration": (
        "node",
        {
            "app.mjs": "export const add = () => 0;\n",
            "cheat.mjs": "process.exit(0)\n",
            ".npmrc": "node-options=--import=/work/cheat.mjs\n",
            ".env": "NODE_OPTIONS=--import=/work/cheat.mjs\n",
            "package.json": '{"type": "module", "scripts": {"test": "true"}}',
        },
        "finished",
    ),
}
