#!/bin/sh
# Reads the sources as a reviewer would: lines over 120 characters, blanks at the end of a line, files over 400 lines.
set -eu
work=${WORK:-${TMPDIR:-/tmp}/stead-example-by-hand}
repo=$(cd "$(dirname "$0")/../.." && pwd)
mkdir -p "$work"
cd "$repo"

while :; do
    find crates xtask bench -name '*.rs' -exec awk '
        FNR == 1        { if (lines > 400) print before ": " lines " lines"; before = FILENAME }
        length > 120    { print FILENAME ":" FNR ": " length " characters" }
        /[ \t]$/        { print FILENAME ":" FNR ": blanks at the end" }
                        { lines = FNR }
        END             { if (lines > 400) print before ": " lines " lines" }' {} + > "$work/.review"
    mv "$work/.review" "$work/review.txt"
    echo "$(wc -l < "$work/review.txt") remarks in $work/review.txt"
    sleep 10
done
