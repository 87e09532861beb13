"""Command recognition, following the steps of rules/metrics/command-recognition.md."""

import json
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.metrics import commands
from rules.metrics.commands import verification_kind

# Ordered by step within each kind.
COMMANDS = {
    "test": [
        "cat <<EOF\nnpm test\n", "cat <<<EOF\nnpm test\nEOF", "cat <<1A\nnpm test\n1A",
        "cat <<A\n<<B\nA\nnpm test\nB", 'n\'pm\' te"st"', "n\\pm test", "npm \\\ntest", "np\\\nm test",
        "echo 'a\\' && npm test", 'echo "a\\n" && npm test', '"np\\\nm" test', "ls # it's\nnpm test", "npm test#x",
        "npm test 2>&1 | tail -5", "npm 2>/dev/null test", "npm >log test", "npm > log test", ">log npm test",
        "npm &>>log test", "npm >| log test", "npm <&3 test", "go <<<text test", "diff <(npm test) <(ls)",
        "npm test > ", "npm test>log", "cd app && npm test", "false || npm test", "cd app; npm test",
        "cd app & npm test", "yes | npm test", "(cd app; npm test)", "A=$(npm test)", "A=`npm test`",
        "cd app\nnpm test", "cd app\r\nnpm test\r\n", "npm\ttest", "npm test -- --help", "echo --help && npm test",
        "CI=1 npm test", "CI=1 DEBUG='a b' npm test", "if npm test", "! npm test", "for f in *; do npm test; done",
        "while CI=1 npm test; do :; done", "{ npm test; }", "node_modules/.bin/jest", "/usr/bin/make test",
        "./gradlew test", "python3.11 -m pytest", "python -m pytest tests",
        "python3 -X dev -W error -m unittest discover", "python3 manage.py test", "python app/manage.py test",
        "bash -c 'npm test'", "bash -euo pipefail -c 'npm test'", 'sh -c "bash -c \'npm test\'"', "bash test.sh",
        "bash -x test.sh", "make lint test", "tox", "tox -e py311", "just unit-tests", "task e2e", "task runE2e",
        "npm test", "npm run test:unit", "npm t", "yarn workspace web test", "pnpm --filter web test", "bun test",
        "deno task test", "deno test", "nx run app:test", "mise run test:ci", "mix test", "cargo t",
        "go test ./...", "go -C dir test ./...", "node --test", "node src/a.test.mjs", "mvn -pl core verify",
        "sbt testOnly", "./run_tests.sh", "scripts/test-all.sh -v", "time npm test", "sudo -u bob npm test",
        "env -u X CI=1 pytest", "nice -n 5 time -p make test", "find . | xargs -I {} sh -c 'pytest {}'",
        "npx jest", "npm exec -- jest", "pnpm exec vitest run", "yarn jest", "uv run --with x pytest",
        "poetry run python -m pytest", "timeout 60 npm test", "timeout -s KILL 60 npm test",
        "docker exec -it web pytest", "docker run -e A=1 --rm image npm test",
        "docker compose -f dev.yml exec -T web npm test", "npm run lint; npm run build; npm test",
    ],
    "check": [
        'cat <<"END" > x\nnpm test\n  END  \nmypy .', "eslint@9 .", "node_modules/@biomejs/biome check .",
        "python -m python -m mypy src", "bash -n deploy.sh", "tox -e lint", "task checkAll", "task runChecks",
        "npm run-script lint", "npm run ci", "mix format --check-formatted", "cargo +nightly clippy",
        "go run github.com/golangci/golangci-lint/cmd/golangci-lint@v1.55 run", "gofmt -l .",
        "rustfmt a.rs --check", "ruff check .", "ruff format . --check", "black '' --check", "node --check a.js",
        "xargs -n 1 eslint", "npx -p typescript tsc", "npx --yes eslint@9 .", "bun x tsc",
        "npm run build && npm run lint", "bash -c 'npm run build'; eslint .",
    ],
    "build": [
        "cat > run.sh <<'EOF'\nnpm test\nEOF\nnpm run build",
        "cat <<A <<B\nnpm test\nA\nnpm test\nB\nnpm run build", "python -m build",
        "bash -lc 'cd x && npm run build'", "make", "make -j4", "make -C dir", "make CC=clang 4", "make all",
        "make -f test", "ninja -C out", "gradle assembleDebug", "gradle compile -x test",
        "npm --prefix web run build", "yarn workspace web run build", "yarn build", "go build",
        "go install ./cmd/x", "./mvnw -q package", "./build.sh", "docker compose build",
    ],
    None: [
        "cat > run.sh <<EOF\nnpm test\nEOF", "cat <<-\\EOF\n\tnpm test\n\tEOF\n", "cat << EOF\nnpm test\nEOF",
        "cat <<A <<B\nnpm test\nB\n", "echo '<<EOF'\nnpm test\nEOF", "cat <<EOF\nnpm test\nEOFX\nEOF\n",
        "echo 'npm test'", 'echo "a && npm test"', 'echo "$(npm test)"', "'npm test'", "npm\\ test",
        'echo "a\\" && npm test"', "echo 'never closed && npm test", 'echo "never closed && npm test\\',
        "# npm test", "ls # npm test", "npm#x test", "go 1 > x test", "echo x > npm test", "cat < npm; test",
        "${x} npm test", "", " \n;;&& ", "npm test --help", "pytest --version", "npm exec -- jest --help",
        "1A=1 npm test", "CI=1", "@scope", "python -m", "python -c 'import pytest' -m pytest", "zsh -ic npm test",
        "bash -c 'ls' test.sh", "bash -c", "bash -c 'cat <<EOF\nnpm test\nEOF'", "bash -C 'npm test'",
        "make clean", "task latest", "npm run", "npm install", "npm ci", "npm run dev test", "deno task",
        "go testing", "go install golang.org/x/tools/gopls@latest", "gofmt -w .", "ruff format .",
        "node 'a b.test.js'", "scripts/test-all.sh up", "git status", "pytester", "yarn add jest",
        "uv pip install pytest", "timeout npm test", "docker ps", "command -v jest", "exec",
    ],
}  # fmt: skip


def test_commands_are_classified():
    expected = {command: kind for kind, commands in COMMANDS.items() for command in commands}
    assert {command: verification_kind(command) for command in expected} == expected


def test_every_pattern_is_anchored_at_the_start():
    lists = json.loads(Path(commands.__file__).with_name("verifications.json").read_text(encoding="utf-8"))
    assert all(tool["pattern"].startswith("^") for tool in lists["tools"])


@given(st.text(alphabet=st.characters(exclude_categories=())))
def test_any_text_is_classified(command):
    assert verification_kind(command) in {*commands.KINDS, None}


@given(st.lists(st.sampled_from([*"'\"\\\n A#>2&", "<<", "$(", "bash -c ", "--"])))
def test_any_mix_of_special_characters_is_classified(pieces):
    assert verification_kind("".join(pieces)) is None


@pytest.mark.slow
@pytest.mark.parametrize("start", ["", "ruby ", "sbt ", 'bash -c "'])
@pytest.mark.parametrize(
    "unit",
    [
        "env ", "env;", "bash -c ", "python -m ", "<<A\n", "<<A ", "yarn -a ", "make a ", "2>", "\\", '"\\', "'\"",
        "a#", "$(", "test", "test_", "a:", "\0",
    ],
)  # fmt: skip
def test_256_kib_of_hostile_text_takes_under_three_seconds(start, unit):
    text = start + unit * (256 * 1024 // len(unit)) + "-"
    before = time.process_time()
    verification_kind(text)
    assert time.process_time() - before < 3


def test_long_commands_are_read_to_the_end():
    document = "cat > data.txt <<'EOF'\n" + "a line of text\n" * 40_000 + "EOF\n"
    script = "python - 'x' \"" + "code " * 20_000 + '"\n'
    assert verification_kind(document + script + "npm test") == "test"
