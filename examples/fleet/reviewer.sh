#!/bin/sh
# Reads the sources as a reviewer would: lines over 120 characters, blanks at the end of a line, files over 400 lines.
# Two of it share the work: Stead tells each which one it is.
set -eu
work=${WORK:-${TMPDIR:-/tmp}/stead-example-by-hand}
repo=$(cd "$(dirname "$0")/../.." && pwd)
mkdir -p "$work"
cd "$repo"
case ${STEAD_REPLICA:-1} in
    1) parts=crates name=review ;;
    *) parts="xtask bench" name=review-$STEAD_REPLICA ;;
esac

while :; do
    find $parts -name '*.rs' -exec awk '
        FNR == 1        { if (lines > 400) print before ": " lines " lines"; before = FILENAME }
        length > 120    { print FILENAME ":" FNR ": " length " characters" }
        /[ \t]$/        { print FILENAME ":" FNR ": blanks at the end" }
                        { lines = FNR }
        END             { if (lines > 400) print before ": " lines " lines" }' {} + > "$work/.$name"
    mv "$work/.$name" "$work/$name.txt"
    echo "$(wc -l < "$work/$name.txt") remarks in $work/$name.txt"
    sleep 10
done
