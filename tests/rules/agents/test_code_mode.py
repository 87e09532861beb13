"""Code mode scripts: calls that are certain to have run."""

import time

import pytest

from rules.agents.codex.code_mode import calls

SCRIPTS = {
    "a string": ('await tools.apply_patch("a\\nb");', [("apply_patch", "a\nb")]),
    "an object": (
        "await tools.run({cmd: 'ls', \"n\": 1, b: [true, null,],});",
        [("run", {"cmd": "ls", "n": 1, "b": [True, None]})],
    ),
    "in another call": ("text(await tools.run({}));", [("run", {})]),
    "a variable": ("const cmd = `ls`;\nawait tools.run({cmd});", [("run", {"cmd": "ls"})]),
    "a raw string": ("const p = String.raw`a\\nb`; await tools.apply_patch(p);", [("apply_patch", "a\\nb")]),
    "escapes": (r'await tools.a("\x41\u00e9\u{1F642}\"\\");', [("a", 'Aé🙂"\\')]),
    "several": ("await tools.a('1'); const r = await tools.b('2');", [("a", "1"), ("b", "2")]),
    "concurrent": (
        "const [a, b] = await Promise.all([tools.a('1'), tools.b('2')]);",
        [("a", "1"), ("b", "2")],
    ),
    "in a comment": ("// await tools.a('1')\n/* await tools.b('2') */", []),
    "in a string": ("text(\"await tools.a('1')\");", []),
    "a computed string": ("const p = 'a' + x; await tools.a(p); await tools.b('1' + x);", []),
    "an inserted value": ("await tools.a(`${x}`);", []),
    "two arguments": ("await tools.a('1', 2);", []),
    "an unknown variable": ("await tools.a(x);", []),
    "not awaited": ("tools.a('1');", []),
    "in a condition": ("if (x) { await tools.a('1'); }", []),
    "in a loop": ("for (const x of ['1']) await tools.a(x);", []),
    "in a function": ("const f = async () => await tools.a('1');", []),
    "after exit": ("exit(); await tools.a('1');", []),
    "in a conditional expression": ("x ? await tools.a('1') : 0; ", []),
    "a number of too many digits": (f"await tools.a({'1' * 5_000}); await tools.b('2');", [("b", "2")]),
    "an unterminated string": ("await tools.a('1');\n\"", []),
}


@pytest.mark.parametrize(("script", "expected"), SCRIPTS.values(), ids=SCRIPTS)
def test_only_calls_that_are_certain_to_have_run_are_returned(script, expected):
    assert [(call.name, call.argument) for call in calls(script)] == expected


DOUBLED = "".join(f"const a{n + 1} = [a{n}, a{n}];" for n in range(60))
REPEATED = {
    "in a list": f"const a = '{'x' * 1_000}'; await tools.a([{'a, ' * 2_000}]);",
    "in many calls": f"const a = '{'x' * 1_000}';" + "await tools.a(a);" * 1_200,
    "in other variables": f"const a0 = 'x'; {DOUBLED} await tools.a(a60);",
}


@pytest.mark.parametrize("script", REPEATED.values(), ids=REPEATED)
def test_a_script_that_repeats_its_variables_too_often_is_not_read(script):
    assert calls(script) == []


HOSTILE = ['"', '"\\', "/* ", "[ ", "await tools.a([", "const a = [", "const a = {b:", "\\", "`", "a;"]


@pytest.mark.parametrize("part", HOSTILE)
def test_hostile_scripts_are_read_quickly(part):
    start = time.process_time()
    calls(part * 100_000)
    assert time.process_time() - start < 1
