#!/bin/sh
# check_exports.sh NM LIBRARY HEADER: the library defines exactly the functions that the header
# declares.
set -eu
defined=$("$1" --defined-only -g "$2" | awk 'NF == 3 && $2 == "T" { print $3 }' | sort)
declared=$(tr '\n' ' ' < "$3" | grep -o 'RAFTMQ_API [^(;]*(' |
    sed -n 's/.*[ *]\(raftmq_[a-z_]*\)($/\1/p' | sort)
if [ "$defined" != "$declared" ]; then
    echo "declared in the header, then defined in the library:"
    echo "$declared"
    echo "--"
    echo "$defined"
    exit 1
fi
