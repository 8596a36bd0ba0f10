#!/usr/bin/env python3
"""The life of a component, and of a capability with three levels, with a real daemon and on real time, in under a minute.

    python3 examples/component_lifecycle/run.py

Every step says what was done and what was seen, and ends the program with 1 where that is not what must be seen. Needs the `stead`
binary: the one that `STEAD` names, else that of `cargo build -p stead`, else that of PATH. Everything is in a temporary directory.
"""

import http.server
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent

# How long something that must happen is waited for, in seconds.
PATIENCE = 60


class Provider:
    """A server on loopback that answers with its name, or fails as it is told."""

    def __init__(self, name):
        self.name, self.status, self.asked = name, 200, 0
        provider = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                self.rfile.read(int(self.headers.get("content-length") or 0))
                provider.asked += 1
                body = json.dumps({"by": provider.name}).encode()
                self.send_response(provider.status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


def program():
    """The `stead` to run."""
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", HERE.parent.parent / "target"))
    built = [os.environ.get("STEAD"), target / "release/stead", target / "debug/stead", shutil.which("stead")]
    for candidate in built:
        if candidate and pathlib.Path(candidate).is_file():
            return str(candidate)
    sys.exit("there is no `stead`: run `cargo build --release -p stead`, or name one by STEAD=/path/to/stead")


def free_port():
    """A port below those that the system gives to connections by itself."""
    first = 12_000 + os.getpid() % 10_000
    for port in range(first, first + 10_000):
        with socket.socket() as free:
            if free.connect_ex(("127.0.0.1", port)) != 0:
                return port
    sys.exit("no port is free")


class Stead:
    """A daemon of its own."""

    def __init__(self, folder, providers):
        listen = f"127.0.0.1:{free_port()}"
        self.url = f"http://{listen}/api/v1"
        self.program = program()
        ports = {f"{provider.name.upper()}_PORT": str(provider.port) for provider in providers}
        self.environment = os.environ | ports | {"STEAD_STATE_DIR": folder, "STEAD_URL": f"http://{listen}"}
        self.run("up", str(HERE / "fleet.toml"), "--listen", listen, "--detach")

    def run(self, *words):
        ended = subprocess.run([self.program, *words], env=self.environment, capture_output=True, text=True, check=False)
        if ended.returncode:
            sys.exit(f"`stead {' '.join(words)}` ended with {ended.returncode}:\n{ended.stdout}{ended.stderr}")
        return ended.stdout

    def ask(self, path, body=None):
        """Status, headers and JSON of an answer; a body is posted."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, {"content-type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
                return answer.status, answer.headers, json.load(answer)
        except urllib.error.HTTPError as refused:
            return refused.code, refused.headers, json.load(refused)

    def beat(self, times, error_rate):
        for _ in range(times):
            _, _, answer = self.ask("/components/index/heartbeats", {"metrics": {"error_rate": error_rate}})
            check(answer.get("outcome") == "accepted", f"a beat is {answer}")

    def index(self):
        component = self.ask("/components/index")[2]
        return component["phase"], component["health"]

    def search_is_served_by(self):
        listed = self.ask("/features")[2]["items"]
        return next(feature.get("serving") for feature in listed if feature["name"] == "search")

    def circuit(self, name):
        listed = self.ask("/circuits")[2]["items"]
        return next(circuit["state"] for circuit in listed if circuit["name"] == name)

    def answered_by(self):
        """Who answers; the status where nobody does."""
        status, headers, _ = self.ask("/capabilities/answer/invoke", {})
        return headers.get("Stead-Provider") if status == 200 else status


def check(holds, otherwise):
    if not holds:
        sys.exit(f"FAILED: {otherwise}")


def until(what, look, wanted):
    """Waits until a look sees what it must."""
    bound = time.monotonic() + PATIENCE
    while (seen := look()) != wanted:
        check(time.monotonic() < bound, f"{what}: {seen} instead of {wanted} after {PATIENCE} s")
        time.sleep(0.02)
    say(f"{what}: {seen}")


def say(what):
    print(f"{time.monotonic() - BEGUN:6.2f} s  {what}", flush=True)


# What is expected of the component.
INDEX = {
    "driver": "none",
    "health": {
        "interval": "3s",
        "timeout": "9s",
        "bad_beats": 3,
        "recovery_threshold": 2,
        "thresholds": {"error_rate": 0.1},
    },
}


def component(stead):
    status, _, answer = stead.ask("/components", {"name": "index", "intent": "running", "spec": INDEX})
    check(status == 201, answer)
    say("a component registers itself")
    stead.beat(2, error_rate=0.0)
    until("it beats: phase, health", stead.index, ("ready", "healthy"))
    stead.beat(2, error_rate=0.5)
    check(stead.index() == ("ready", "healthy"), f"two bad beats of three: {stead.index()}")
    say("two beats with half of its work failed: still healthy, as three are needed")
    stead.beat(1, error_rate=0.5)
    until("a third one", stead.index, ("degraded", "degraded"))
    stead.beat(2, error_rate=0.0)
    until("two good beats bring it back", stead.index, ("ready", "healthy"))
    until("it falls silent", stead.index, ("error", "failed"))
    until("what needs it is off, and served by", stead.search_is_served_by, "browse")
    stead.beat(2, error_rate=0.0)
    until("it beats again", stead.index, ("ready", "healthy"))
    until("what needs it is back, and served by", stead.search_is_served_by, "search")


def capability(stead, large, small, canned):
    until("the preferred provider answers", stead.answered_by, "large")
    large.status = 500
    until("it fails, and the next one answers", stead.answered_by, "small")
    small.status = 500
    until("that fails too, and the last one answers", stead.answered_by, "canned")
    canned.status = 503
    until("nobody answers", stead.answered_by, 503)
    small.status = canned.status = 200
    until("the circuit of the preferred one", lambda: stead.circuit("answer/large"), "open")
    asked = large.asked
    until("the next one answers", stead.answered_by, "small")
    check(large.asked == asked, "an open circuit let a call through")
    say("and the preferred one was not even asked")
    large.status = 200
    until("once it has rested it is tried again", stead.answered_by, "large")
    until("a second success closes its circuit", stead.answered_by, "large")
    until("the circuit of the preferred one", lambda: stead.circuit("answer/large"), "closed")


def main():
    providers = [Provider(name) for name in ("large", "small", "canned")]
    with tempfile.TemporaryDirectory(prefix="stead-demo-") as folder:
        stead = Stead(folder, providers)
        try:
            component(stead)
            capability(stead, *providers)
        finally:
            stead.run("down")
    say("everything was as it must be")


BEGUN = time.monotonic()
if __name__ == "__main__":
    main()
