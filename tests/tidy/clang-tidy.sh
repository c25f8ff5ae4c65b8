#!/usr/bin/env bash
# clang-tidy over what changed, or over everything. Takes minutes, so it is no part of ctest.
#
#   tests/tidy/clang-tidy.sh                  files that differ from main, and uncommitted ones
#   tests/tidy/clang-tidy.sh --all            all of ours
#   tests/tidy/clang-tidy.sh broker/core      files below these paths
#
# Needs build/dev/compile_commands.json (cmake --preset dev). Exit status: 1 if it found anything.
set -u
cd "$(dirname "$0")/../.." || exit 2
commands=build/dev/compile_commands.json
if [ ! -f "$commands" ]; then
    echo "clang-tidy.sh: no $commands; run cmake --preset dev" >&2
    exit 2
fi

folders=(common raft-glue broker nameserver client admin)
case ${1:-} in
--all) files=$(git ls-files -- "${folders[@]}") ;;
"") files=$({ git diff --name-only main --; git ls-files --others --exclude-standard; } | sort -u) ;;
-*)
    sed -n '2,8s/^# \{0,1\}//p' "$0" >&2
    exit 2
    ;;
*) files=$(git ls-files -- "$@") ;;
esac
# Only what is compiled can be looked at; headers come along with the files that include them.
files=$(printf '%s\n' "$files" | grep '\.c$' | while read -r file; do
    grep -q "\"file\": \".*/$file\"" "$commands" && printf '%s\n' "$file"
done)
if [ -z "$files" ]; then
    echo "nothing to look at"
    exit 0
fi
found=$(printf '%s\n' "$files" | xargs -P "${JOBS:-2}" -n 4 \
    clang-tidy -p build/dev --quiet --extra-arg=-Wno-unknown-warning-option 2>/dev/null)
if [ -n "$found" ]; then
    printf '%s\n' "$found"
    exit 1
fi
printf 'clean: %s files\n' "$(printf '%s\n' "$files" | wc -l)"
