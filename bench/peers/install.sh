#!/bin/sh
# Installs the peers that the benchmarks run beside Stead. Quiet; skips what is there; needs root for apt-get alone.
# pip and npm packages go to $STEAD_BENCH_PEERS (default: ~/.cache/stead-bench), nothing of theirs into the system.
set -eu

peers="${STEAD_BENCH_PEERS:-$HOME/.cache/stead-bench}"
supervisor_version=4.3.0
pm2_version=7.0.4
mkdir -p "$peers"

missing=""
command -v runsvdir >/dev/null || missing="$missing runit"
command -v s6-svscan >/dev/null || missing="$missing s6"
command -v erlc >/dev/null || missing="$missing erlang-base"
if [ -n "$missing" ]; then
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    # shellcheck disable=SC2086 # a list of names
    apt-get install -y -qq --no-install-recommends $missing >"$peers/apt.log" 2>&1 || { cat "$peers/apt.log" >&2; exit 1; }
fi

if [ ! -x "$peers/venv/bin/supervisord" ]; then
    python3 -m venv "$peers/venv"
    "$peers/venv/bin/pip" install --quiet --disable-pip-version-check "supervisor==$supervisor_version"
fi

if [ ! -x "$peers/pm2/node_modules/.bin/pm2" ]; then
    mkdir -p "$peers/pm2"
    npm install --silent --no-audit --no-fund --prefix "$peers/pm2" "pm2@$pm2_version"
fi
