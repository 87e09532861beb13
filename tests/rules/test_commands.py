"""How a command is read (metrics.md): each table is one of its seven steps."""

import json
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules import commands
from rules.commands import kind_of

LISTS = json.loads(Path(commands.__file__).with_name("verifications.json").read_text(encoding="utf-8"))


def test_every_pattern_begins_at_the_beginning():
    # They are tried as one pattern there, so that a hostile command costs one pass and not seventy.
    assert all(tool["pattern"].startswith("^") for tool in LISTS["tools"])


@pytest.mark.parametrize(
    ("command", "kind"),
    [
        # 1. here-documents
        ("cat > run.sh <<EOF\nnpm test\nEOF", None),
        ("cat > run.sh <<'EOF'\nnpm test\nEOF\nnpm run build", "build"),
        ('cat <<"END" > x\nnpm test\n  END  \nmypy .', "check"),
        ("cat <<-\\EOF\n\tnpm test\n\tEOF\n", None),
        ("cat << EOF\nnpm test\nEOF", None),
        ("cat <<EOF\nnpm test\n", "test"),  # without an end it is none
        ("cat <<A <<B\nnpm test\nA\nnpm test\nB\nnpm run build", "build"),
        ("cat <<A <<B\nnpm test\nB\n", None),  # the second one alone has an end
        ("cat <<<EOF\nnpm test\nEOF", "test"),
        ("cat <<1A\nnpm test\n1A", "test"),
        ("echo '<<EOF'\nnpm test\nEOF", None),  # wherever that stands
        ("cat <<EOF\nnpm test\nEOFX\nEOF\n", None),
        ("cat <<A\n<<B\nA\nnpm test\nB", "test"),  # what is dropped opens nothing
        # 2. words and parts
        ("echo 'npm test'", None),
        ('echo "a && npm test"', None),
        ('echo "$(npm test)"', None),
        ("n'pm' te\"st\"", "test"),
        ("'npm test'", None),
        ("npm\\ test", None),
        ("n\\pm test", "test"),
        ("npm \\\ntest", "test"),
        ("np\\\nm test", "test"),
        ('echo "a\\" && npm test"', None),
        ("echo 'a\\' && npm test", "test"),
        ('echo "a\\n" && npm test', "test"),
        ('"np\\\nm" test', "test"),
        ("echo 'never closed && npm test", None),
        ('echo "never closed && npm test\\', None),
        ("# npm test", None),
        ("ls # npm test", None),
        ("ls # it's\nnpm test", "test"),
        ("npm#x test", None),
        ("npm test#x", "test"),
        ("npm test 2>&1 | tail -5", "test"),
        ("npm 2>/dev/null test", "test"),
        ("npm >log test", "test"),
        ("npm > log test", "test"),
        (">log npm test", "test"),
        ("npm &>>log test", "test"),
        ("npm >| log test", "test"),
        ("npm <&3 test", "test"),
        ("go <<<text test", "test"),
        ("go 1 > x test", None),  # a number that stands alone is a word
        ("echo x > npm test", None),
        ("cat < npm; test", None),
        ("diff <(npm test) <(ls)", "test"),
        ("npm test > ", "test"),
        ("cd app && npm test", "test"),
        ("false || npm test", "test"),
        ("cd app; npm test", "test"),
        ("cd app & npm test", "test"),
        ("yes | npm test", "test"),
        ("(cd app; npm test)", "test"),
        ("A=$(npm test)", "test"),
        ("A=`npm test`", "test"),
        ("cd app\nnpm test", "test"),
        ("cd app\r\nnpm test\r\n", "test"),
        ("npm\ttest", "test"),
        ("${x} npm test", None),
        ("", None),
        (" \n;;&& ", None),
        # 4. program
        ("npm test --help", None),
        ("pytest --version", None),
        ("npm test -- --help", "test"),
        ("npm exec -- jest --help", None),  # read again behind the prefix
        ("echo --help && npm test", "test"),
        ("CI=1 npm test", "test"),
        ("CI=1 DEBUG='a b' npm test", "test"),
        ("1A=1 npm test", None),
        ("if npm test", "test"),
        ("! npm test", "test"),
        ("for f in *; do npm test; done", "test"),
        ("while CI=1 npm test; do :; done", "test"),
        ("{ npm test; }", "test"),
        ("CI=1", None),
        ("node_modules/.bin/jest", "test"),
        ("/usr/bin/make test", "test"),
        ("./gradlew test", "test"),
        ("eslint@9 .", "check"),
        ("@scope", None),
        ("node_modules/@biomejs/biome check .", "check"),
        ("python3.11 -m pytest", "test"),
        ("python -m pytest tests", "test"),
        ("python3 -X dev -W error -m unittest discover", "test"),
        ("python -m python -m mypy src", "check"),
        ("python -m", None),
        ("python -c 'import pytest' -m pytest", None),
        ("python -m build", "build"),
        ("python3 manage.py test", "test"),
        ("python app/manage.py test", "test"),
        ("bash -c 'npm test'", "test"),
        ("bash -lc 'cd x && npm run build'", "build"),
        ("bash -euo pipefail -c 'npm test'", "test"),
        ("sh -c \"bash -c 'npm test'\"", "test"),
        ("zsh -ic npm test", None),
        ("bash -c 'ls' test.sh", None),  # the text alone decides
        ("bash -c", None),
        ("bash -c 'cat <<EOF\nnpm test\nEOF'", None),
        ("bash -C 'npm test'", None),
        ("bash test.sh", "test"),
        ("bash -x test.sh", "test"),
        ("bash -n deploy.sh", "check"),
        # 5. runners
        ("make", "build"),
        ("make -j4", "build"),
        ("make -C dir", "build"),
        ("make CC=clang 4", "build"),
        ("make lint test", "test"),
        ("make clean", None),
        ("make all", "build"),
        ("make -f test", "build"),
        ("ninja -C out", "build"),
        ("tox", "test"),
        ("tox -e lint", "check"),
        ("tox -e py311", "test"),
        ("just unit-tests", "test"),
        ("task checkAll", "check"),
        ("task runChecks", "check"),
        ("task e2e", "test"),
        ("task runE2e", "test"),
        ("task latest", None),
        ("gradle assembleDebug", "build"),
        ("gradle compile -x test", "build"),
        ("npm test", "test"),
        ("npm run test:unit", "test"),
        ("npm run-script lint", "check"),
        ("npm run", None),
        ("npm install", None),
        ("npm ci", None),
        ("npm run ci", "check"),
        ("npm t", "test"),
        ("npm --prefix web run build", "build"),
        ("npm run dev test", None),  # only the first argument names the task
        ("yarn workspace web test", "test"),
        ("yarn workspace web run build", "build"),
        ("yarn build", "build"),
        ("pnpm --filter web test", "test"),
        ("bun test", "test"),
        ("deno task test", "test"),
        ("deno task", None),
        ("deno test", "test"),
        ("nx run app:test", "test"),
        ("mise run test:ci", "test"),
        ("mix test", "test"),
        ("mix format --check-formatted", "check"),
        ("cargo t", "test"),
        ("cargo +nightly clippy", "check"),
        # 5. tools
        ("go test ./...", "test"),
        ("go -C dir test ./...", "test"),
        ("go testing", None),
        ("go build", "build"),
        ("go install ./cmd/x", "build"),
        ("go install golang.org/x/tools/gopls@latest", None),
        ("go run github.com/golangci/golangci-lint/cmd/golangci-lint@v1.55 run", "check"),
        ("gofmt -l .", "check"),
        ("gofmt -w .", None),
        ("rustfmt a.rs --check", "check"),
        ("ruff check .", "check"),
        ("ruff format .", None),
        ("ruff format . --check", "check"),
        ("black '' --check", "check"),
        ("node --test", "test"),
        ("node --check a.js", "check"),
        ("node src/a.test.mjs", "test"),
        ("node 'a b.test.js'", None),
        ("mvn -pl core verify", "test"),
        ("./mvnw -q package", "build"),
        ("sbt testOnly", "test"),
        ("./run_tests.sh", "test"),
        ("scripts/test-all.sh -v", "test"),
        ("scripts/test-all.sh up", None),
        ("./build.sh", "build"),
        ("docker compose build", "build"),
        ("git status", None),
        ("pytester", None),
        # 6. prefixes
        ("time npm test", "test"),
        ("sudo -u bob npm test", "test"),
        ("env -u X CI=1 pytest", "test"),
        ("nice -n 5 time -p make test", "test"),
        ("xargs -n 1 eslint", "check"),
        ("find . | xargs -I {} sh -c 'pytest {}'", "test"),
        ("npx jest", "test"),
        ("npx -p typescript tsc", "check"),
        ("npx --yes eslint@9 .", "check"),
        ("npm exec -- jest", "test"),
        ("pnpm exec vitest run", "test"),
        ("yarn jest", "test"),
        ("yarn add jest", None),
        ("bun x tsc", "check"),
        ("uv run --with x pytest", "test"),
        ("uv pip install pytest", None),
        ("poetry run python -m pytest", "test"),
        ("timeout 60 npm test", "test"),
        ("timeout -s KILL 60 npm test", "test"),
        ("timeout npm test", None),  # the argument is taken off whatever it is
        ("docker exec -it web pytest", "test"),
        ("docker run -e A=1 --rm image npm test", "test"),
        ("docker compose -f dev.yml exec -T web npm test", "test"),
        ("docker ps", None),
        ("command -v jest", None),
        ("exec", None),
        # 7. the best part
        ("npm run build && npm run lint", "check"),
        ("npm run lint; npm run build; npm test", "test"),
        ("bash -c 'npm run build'; eslint .", "check"),
    ],
)
def test_a_command_is_read_as_the_definition_says(command, kind):
    assert kind_of(command) == kind


@given(st.text(alphabet=st.characters(exclude_categories=())))
def test_any_text_is_read(command):
    assert kind_of(command) in {"test", "check", "build", None}


@given(
    st.lists(
        st.sampled_from(["'", '"', "\\", "\n", " ", "<<", "A", "$(", "#", ">", "2", "&", "bash -c ", "--"])
    )
)
def test_any_mixture_of_what_is_special_is_read(pieces):
    assert kind_of("".join(pieces)) is None


@pytest.mark.parametrize(
    "unit",
    [
        "env ",
        "env;",
        "bash -c ",
        "python -m ",
        "<<A\n",
        "<<A ",
        "yarn -a ",
        "make a ",
        "2>",
        "\\",
        '"\\',
        "'\"",
        "a#",
        "$(",
        "test",
        "test_",
        "a:",
        "\0",
    ],
)
@pytest.mark.slow
@pytest.mark.parametrize("start", ["", "ruby ", "sbt ", 'bash -c "'])
def test_a_quarter_of_a_mebibyte_of_hostile_text_takes_no_longer_than_it_must(start, unit):
    text = start + unit * (256 * 1024 // len(unit)) + "-"
    before = time.process_time()
    kind_of(text)
    assert time.process_time() - before < 3


def test_a_real_command_of_many_kibibytes_is_read_to_its_end():
    document = "cat > data.txt <<'EOF'\n" + "a line of text\n" * 40_000 + "EOF\n"
    script = "python - 'x' \"" + "code " * 20_000 + '"\n'
    assert kind_of(document + script + "npm test") == "test"
