#!/bin/sh
# A job: it makes the place that the others work in, and ends. They wait for its success (depends_on: "completed").
set -eu
work=${WORK:-${TMPDIR:-/tmp}/stead-example-by-hand}

mkdir -p "$work"
rm -f "$work"/*.json "$work"/*.txt "$work"/*.md
python3 -c 'import sys; sys.exit(sys.version_info < (3, 9))' || { echo "these agents need Python 3.9 or newer" >&2; exit 1; }
echo "the agents work in $work"
