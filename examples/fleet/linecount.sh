#!/bin/sh
# Counts the lines of each crate, every few seconds. An agent may be any program: this one knows nothing of Stead.
set -eu
work=${WORK:-${TMPDIR:-/tmp}/stead-example-by-hand}
repo=$(cd "$(dirname "$0")/../.." && pwd)
mkdir -p "$work"

while :; do
    for crate in "$repo"/crates/*/; do
        lines=$(find "$crate" -name '*.rs' -exec cat {} + | wc -l)
        printf '%7d %s\n' "$lines" "$(basename "$crate")"
    done | sort -rn > "$work/.linecount"
    mv "$work/.linecount" "$work/linecount.txt"
    echo "largest: $(head -n 1 "$work/linecount.txt")"
    sleep 10
done
