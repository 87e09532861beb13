#!/bin/sh
# Prepare a folder for a Proofstone assessment.
#
#   sh workspace.sh [FOLDER]          FOLDER defaults to `assessment`
#
# 1. Asks for your key, and stores it under ~/.proofstone in files that only you can read.
# 2. Downloads your task and settings for your AI tools.
# 3. Clones the repository into FOLDER.
# 4. Adds TASK.md, ./submit and the settings, and excludes them from git.
#
# Requires git, curl and tar, and installs nothing. All candidates run the same script. Run it again to repair the folder.

set -eu
service=@SERVICE@
home=$HOME/.proofstone
# Other git protocols can run commands. Keeps a value that you have already set.
GIT_ALLOW_PROTOCOL=${GIT_ALLOW_PROTOCOL:-https:http:ssh}
export GIT_ALLOW_PROTOCOL

main() {
  # These variables change which folders `cd` and git use. `key` must not be exported, because programs would inherit it.
  unset CDPATH GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE key
  key=${PROOFSTONE_KEY:-}
  unset PROOFSTONE_KEY
  for program in git curl tar; do
    command -v "$program" >/dev/null || die "$program is missing. Install it and run this again."
  done
  mask=$(umask)
  umask 077
  work=$home/new.$$
  mkdir -p "$home"
  mkdir "$work"
  trap 'rm -rf "$work"' EXIT
  trap 'stty echo </dev/tty 2>/dev/null; exit 1' HUP INT TERM
  choose_folder "${1:-assessment}"
  read_key
  download
  write_commands
  umask "$mask"
  missing=
  clone
  [ -n "$missing" ] || enter_subdirectory
  place_files
  print_instructions
  [ -z "$missing" ] || die "$missing"
}

die() {
  printf '%s\n' "$1" >&2
  exit 1
}

# Set the folder, and the session if the folder is already a workspace.
choose_folder() {
  folder=$1
  if root=$(git rev-parse --show-toplevel 2>/dev/null) && saved_session "$root" >/dev/null; then
    folder=$root
  fi
  case $folder in -*) folder=./$folder ;; esac
  session=$(saved_session "$folder") || session=
  if [ -z "$session" ] && [ -n "$(ls -A "$folder" 2>/dev/null)" ]; then
    die "The folder $folder is not empty. Name another one: sh workspace.sh FOLDER (or: ... | sh -s -- FOLDER)"
  fi
}

saved_session() {
  [ -f "$1/.git/config" ] && git config --file "$1/.git/config" --get proofstone.session
}

# Pass the key to curl in a file, because other users can see a program's arguments.
read_key() {
  if [ -z "$key" ] && [ -n "$session" ] && [ -f "$home/$session/key" ]; then
    key=$(cat "$home/$session/key")
    other=" If this is another assessment than that of the folder $folder, name another folder: ... | sh -s -- FOLDER"
  fi
  [ -n "$key" ] || ask_key
  key=$(printf '%s' "$key" | tr -d '[:space:]' | tr '[:lower:]' '[:upper:]')
  case $key in
    PST-[A-Z0-9][A-Z0-9][A-Z0-9][A-Z0-9]-[A-Z0-9][A-Z0-9][A-Z0-9][A-Z0-9]) ;;
    *) die "A key looks like PST-ABCD-EFGH. Copy yours from your page or your invitation." ;;
  esac
  printf 'X-API-Key: %s\n' "$key" >"$work/header"
  printf '%s' "$key" >"$work/key"
  key=
}

ask_key() {
  (: </dev/tty) 2>/dev/null || die "There is no terminal to ask for your key. Set PROOFSTONE_KEY."
  stty -echo </dev/tty
  printf 'Your key, such as PST-ABCD-EFGH (it is not shown): ' >/dev/tty
  IFS= read -r key </dev/tty || key=
  stty echo </dev/tty
  printf '\n' >/dev/tty
}

download() {
  status=$(curl -sS -m 60 --proto '=https,http' -H @"$work/header" -o "$work/response" -w '%{http_code}' \
    "$service/v1/candidate/workspace/files") || die "Could not reach $service. Run this again."
  case $status in
    200) ;;
    401) die "The key is invalid or has expired. Compare it with your invitation, and open your page.${other-}" ;;
    409) die "This session is not open. If you have not started, press Start on your page first.${other-}" ;;
    *) die "The service responded with HTTP $status. Run this again later." ;;
  esac
  mkdir "$work/files"
  tar -xf "$work/response" -C "$work/files"
  received_session=$(cat "$work/files/session")
  case $received_session in '' | *[!0-9a-f-]*) die "The service sent no session id." ;; esac
  [ "${session:-$received_session}" = "$received_session" ] || die "The folder $folder belongs to another assessment. Name another one."
  session=$received_session
  state=$home/$session
  mkdir -p "$state/codex"
  mv -f "$work"/files/* "$work/header" "$work/key" "$state"
  [ ! -f "$state/codex.toml" ] || mv -f "$state/codex.toml" "$state/codex/config.toml"
}

# Clone the repository. In an existing workspace, only finish an interrupted run. `missing` says why it failed.
clone() {
  # The service reads only SHA-1 repositories.
  GIT_DEFAULT_HASH=sha1 git init -q "$folder"
  cd "$folder"
  git config --local proofstone.session "$session"
  if git rev-parse -q --verify HEAD >/dev/null; then
    git rev-parse -q --verify refs/proofstone/base >/dev/null ||
      missing="This folder has commits, but not the repository. To get the repository, run this in another folder."
    return
  elif [ -f "$state/repository" ]; then
    fetch_repository
  else
    git -c user.name=Proofstone -c user.email=proofstone@localhost -c commit.gpgsign=false \
      -c core.hooksPath=/dev/null commit -q --allow-empty -m 'Start'
  fi
  [ -n "$missing" ] || git update-ref refs/proofstone/base HEAD
}

fetch_repository() {
  repository=$(cat "$state/repository") commit=HEAD
  [ ! -f "$state/commit" ] || commit=$(cat "$state/commit")
  missing="The repository's URL or commit is not supported. Your session is running. Ask the person who invited you."
  case $repository in https://* | http://* | ssh://*) ;; *) return ;; esac
  case $commit in HEAD) ;; *[!0-9a-f]*) return ;; esac
  missing="Could not fetch $repository. Your session is running. Check your access, and run this again to fetch it."
  git config --local remote.origin.url "$repository"
  git config --local remote.origin.fetch '+refs/heads/*:refs/remotes/origin/*'
  printf 'Fetching the repository ...\n'
  # Some servers do not send a single commit by its id.
  if git fetch -q --depth 1 origin "$commit" 2>/dev/null; then
    commit=FETCH_HEAD
  elif ! git fetch -q origin; then
    commit=
  elif [ "$commit" = HEAD ]; then
    commit=$(git ls-remote origin HEAD | cut -f 1)
  fi
  if [ -n "$commit" ] && git -c core.hooksPath=/dev/null checkout -q -B main "$commit"; then missing=; fi
}

enter_subdirectory() {
  [ -f "$state/subdir" ] || return 0
  root=$(pwd -P)
  inside=$(cd "./$(cat "$state/subdir")" 2>/dev/null && pwd -P) || inside=
  case $inside in
    "$root"/*) cd "$inside" ;;
    *) printf 'The repository has no folder %s.\n' "$(cat "$state/subdir")" >&2 ;;
  esac
}

place_files() {
  exclude=$(git rev-parse --git-path info/exclude)
  mkdir -p "$(dirname "$exclude")"
  prefix=/$(git rev-parse --show-prefix | sed 's/[][*?\\]/\\&/g')
  task=TASK.md submit=./submit claude=claude codex=./codex opencode=opencode
  place TASK.md TASK.md || task=$state/TASK.md
  place submit submit || submit=$(quote "$state/submit")
  place claude.json .claude/settings.local.json || claude="claude --settings $(quote "$state/claude.json")"
  place codex-here codex || codex="CODEX_HOME=$(quote "$state/codex") codex"
  place opencode.json opencode.json || opencode="OPENCODE_CONFIG=$(quote "$state/opencode.json") opencode"
}

# Copy a session file into the folder. Fails if the repository already contains a file with that name.
place() {
  [ -f "$state/$1" ] || return 0
  if [ -n "$(git ls-files -- "$2")" ]; then
    # A run without the repository excluded the name.
    grep -vxF "$prefix$2" "$exclude" >"$work/exclude" 2>/dev/null || :
    cat "$work/exclude" >"$exclude"
    return 1
  fi
  case $2 in
    */*)
      [ ! -L "${2%/*}" ] || return 1
      mkdir -p "${2%/*}"
      ;;
  esac
  if ! grep -qxF "$prefix$2" "$exclude" 2>/dev/null; then
    [ ! -e "$2" ] && [ ! -L "$2" ] || return 1
    printf '%s\n' "$prefix$2" >>"$exclude"
  fi
  rm -f "$2"
  cp "$state/$1" "$2"
}

# Quote a path for the shell.
quote() {
  printf "'%s'" "$(printf '%s' "$1" | sed "s/'/'\\\\''/g")"
}

print_instructions() {
  printf '\nYour workspace is ready%s:\n\n  cd %s\n\n' "${missing:+, without the repository}" "$(quote "$(pwd)")"
  printf 'Your task is in %s.' "$task"
  [ ! -s "$state/tools" ] || printf ' Start a tool in this folder. If it asks whether you trust the folder, answer Yes.\n'
  printf '\n'
  while read -r tool; do
    case $tool in
      claude) printf '  %-13s %s\n' 'Claude Code:' "$claude" ;;
      codex) printf '  %-13s %s\n' 'Codex:' "$codex" ;;
      opencode) printf '  %-13s %s\n' 'opencode:' "$opencode" ;;
      other) printf '  %-13s %s\n' 'Other tools:' "see your page; your key is in $state/key" ;;
    esac
  done <"$state/tools"
  printf '\nWhen you are done: %s\n' "$submit"
}

write_commands() {
  rm -f "$state/codex-here"
  if [ -f "$state/codex/config.toml" ]; then
    cat >"$state/codex-here" <<'END'
#!/bin/sh
# Start Codex with this assessment's settings.
session=$(cd "$(dirname "$0")" && git config --get proofstone.session) || exit 1
CODEX_HOME=$HOME/.proofstone/$session/codex exec codex "$@"
END
    chmod 700 "$state/codex-here"
  fi
  cat >"$state/submit" <<'END'
#!/bin/sh
# Submit your work and end your session.
#
# Uploads this repository as a git bundle, including uncommitted and new files and nested repositories' files, but not
# files that git ignores. Waits up to a minute until it has been read. Does not change your files, commits or index.
# If it fails, run it again.

set -eu
umask 077
service=@SERVICE@

die() {
  printf '%s\n' "$1" >&2
  exit 1
}

# On a full disk, git's message is missing.
fail() {
  cat "$work/errors" >&2
  die "Nothing was sent: git could not pack your work. If your disk is full, make space. Then run this again."
}

send() {
  curl -sS -m 600 --retry 3 --proto '=https,http' -H @"$state/header" -o "$work/response" -w '%{http_code}' "$@" ||
    die "Could not reach $service. Run this again."
}

check() {
  [ "$1" = 200 ] || die "$(sed -n 's/.*"error": *"\([^"]*\)".*/\1/p' "$work/response") (HTTP $1)"
}

# Print a field of the submission, or nothing if it is null.
field() {
  sed -n 's/.*"submission": *{\([^}]*\)}.*/\1/p' "$work/response" | sed -n "s/.*\"$1\": *\"\([^\"]*\)\".*/\1/p"
}

# Nested repositories, except unchanged submodules of the repository.
nested_repositories() {
  git ls-files --others --exclude-standard 2>/dev/null | sed -n 's|/\("\{0,1\}\)$|\1|p'
  git diff-index --ignore-submodules=none "${base:-$empty_tree}" | sed -n "s|^:[0-7]* 160000 .*$tab||p"
}

unset CDPATH GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE
session=$(git config --get proofstone.session) || {
  [ ! -f submit ] ||
    die "The folder's .git is missing or not the original one. Run the command on your page in another folder, copy your files there, but not .git, and run ./submit there."
  die "Run this in the folder of your assessment."
}
state=$HOME/.proofstone/$session
[ -f "$state/header" ] || die "Your key is missing. Run the command on your page again, in this folder."
cd "$(git rev-parse --show-toplevel)"
work=$state/submit.$$
rm -rf "$work"
mkdir "$work"
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
advice='Remove files that are not your work, from your commits too, or list new files in .gitignore. Then run this again.'
tab=$(printf '\t')
empty_file=$(git hash-object --stdin </dev/null)
empty_tree=$(git hash-object -t tree --stdin </dev/null)
head=$(git rev-parse -q --verify HEAD) || head=
base=$(git rev-parse -q --verify refs/proofstone/base) || base=

# Commit all files on top of the current commit, using a separate index.
printf 'Packing your work ...\n'
index=$(git rev-parse --git-path index)
# Git compares the index's time with the files' to find changes within the same second.
[ ! -f "$index" ] || cp -p "$index" "$work/index"
GIT_INDEX_FILE=$work/index
export GIT_INDEX_FILE
# Git does not look at files with these flags. A sparse checkout needs the second.
git ls-files -v | sed -n 's/^[hs] //p' | git update-index --no-assume-unchanged --stdin
[ "$(git config --bool core.sparseCheckout)" = true ] ||
  git ls-files -v | sed -n 's/^S //p' | git update-index --no-skip-worktree --stdin
# Git adds a nested repository's files only if the index contains one of them. `git add` removes this one.
while nested=$(nested_repositories) && [ -n "$nested" ]; do
  printf '%s\n' "$nested" | sed "s|^|100644 $empty_file$tab|; s|\"\{0,1\}\$|/.proofstone&|" |
    git update-index --index-info
done
# The status is 1 if git could not read a file.
LC_ALL=C git -c core.safecrlf=false add --all --ignore-errors 2>"$work/errors" || [ $? = 1 ] || fail
if [ -s "$work/errors" ]; then
  unread=$(
    git -c core.quotePath=false ls-files --others --modified --exclude-standard 2>/dev/null |
      sed '/\/"\{0,1\}$/d; s/^/  /'
    sed -n "s/^warning: could not open directory '\(.*\)': .*/  \1/p" "$work/errors"
  )
  [ -z "$unread" ] || printf 'Not included, because git cannot read them:\n%s\n' "$unread"
fi
tree=$(git write-tree)
[ "$tree" != "$empty_tree" ] ||
  die "Nothing was sent: the folder has no files, or git ignores all of them. Add your work, then run this again."
# The bundle must contain the commit that you started from.
if [ -z "$base" ] || { [ -n "$head" ] && git merge-base --is-ancestor "$base" "$head"; }; then base=; fi
commit=$(git -c user.name=Candidate -c user.email=candidate@localhost \
  commit-tree -m 'Submission' ${head:+-p "$head"} ${base:+-p "$base"} "$tree")
git update-ref refs/proofstone/submission "$commit"
# Git prints progress and errors to stderr, and some versions have no quiet option.
git bundle create "$work/bundle" --glob='refs/proofstone/*' 2>"$work/errors" || fail
size=$(($(wc -c <"$work/bundle")))
if [ "$size" -gt 134217728 ]; then
  git rev-list --objects "$commit" | git cat-file --batch-check='%(objecttype) %(objectsize:disk) %(rest)' |
    sed -n 's/^blob /  /p' | sort -rn | head -n 10 >"$work/largest"
  die "Nothing was sent: your work is $size bytes, more than the limit of 134217728. The largest files, compressed:
$(cat "$work/largest")
$advice"
fi
if [ -t 0 ]; then
  printf 'Submit your work and end your session? [y/N] '
  read -r reply
  case $reply in [yY]*) ;; *) die "Nothing was sent." ;; esac
fi

# A slow connection can need long; one that stalls is started again.
status=$(send -m 3600 --speed-limit 1000 --speed-time 120 -H 'Content-Type: application/x-git-bundle' \
  -T "$work/bundle" "$service/v1/candidate/submission")
check "$status"
printf 'Your work has been received: %s bytes. It is being read ...\n' "$size"
tries=60
while
  status=$(send "$service/v1/candidate/workspace") || exit 1
  # Other responses do not show that the work was not received. They can be permanent: the fifth is the last.
  case $status in 200) used=1 ;; *) used=15 ;; esac
  { [ "$status" != 200 ] || [ "$(field state)" = waiting ]; } && [ "$tries" -gt 0 ]
do
  tries=$((tries - used))
  sleep 1
done
case $(field state) in
  read) printf 'Your work has been read.\n' ;;
  unreadable)
    die "Your work could not be read: $(field problem)
$advice
You can also upload a zip of the folder on your page, which shows until when."
    ;;
  *) printf 'Your work has not been read yet. Your page shows when it has been.\n' ;;
esac
printf '{"key": "%s", "sessionId": "%s"}' "$(cat "$state/key")" "$session" >"$work/complete.json"
status=$(send -H 'Content-Type: application/json' --data-binary @"$work/complete.json" \
  "$service/v1/candidate/complete")
check "$status"
printf 'Your session is complete. Thank you!\n'
END
  chmod 700 "$state/submit"
}

# Must be the last line, so that a partial download runs nothing. Without /dev/null, programs could read the script as input.
main "$@" </dev/null
