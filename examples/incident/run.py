#!/usr/bin/env python3
"""Six misfortunes on a fleet of real processes, each detected, explained, and recovered or held within a stated time.

    python3 examples/incident/run.py

Crash loop, hang, leak, outage of a dependency, expired credential, looping agent: for each it prints after how long Stead saw it and by what,
what `stead why` says of it, and what was done; and ends the program with 1 where that is not what must be seen, or came too late. On a
machine that is busy with other things, SLACK=4 allows four times as long. Needs the `stead` binary: the one that `STEAD` names, else that of
`cargo build -p stead`, else that of PATH. Everything is in a temporary directory; it takes about a minute.
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

# By how much longer than stated everything may take.
SLACK = float(os.environ.get("SLACK", "1"))


class Provider:
    """A provider on loopback that knows one credential, which may expire."""

    def __init__(self):
        self.status = 200
        provider = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(provider.status)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{server.server_address[1]}/"
        threading.Thread(target=server.serve_forever, daemon=True).start()


def program():
    """The `stead` to run."""
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", HERE.parent.parent / "target"))
    built = [os.environ.get("STEAD"), target / "release/stead", target / "debug/stead", shutil.which("stead")]
    for candidate in built:
        if candidate and pathlib.Path(candidate).is_file():
            return str(candidate)
    sys.exit("there is no `stead`: run `cargo build --release -p stead`, or name one by STEAD=/path/to/stead")


def free_ports(wanted):
    """Ports below those that the system gives to connections by itself."""
    found = []
    first = 22_000 + os.getpid() * wanted % 10_000
    for port in range(first, 32_768):
        with socket.socket() as free:
            if free.connect_ex(("127.0.0.1", port)) != 0:
                found.append(port)
        if len(found) == wanted:
            return found
    sys.exit("no port is free")


class Stead:
    """A daemon of its own, and the stage of its fleet."""

    def __init__(self, folder, provider):
        port, database = free_ports(2)
        listen = f"127.0.0.1:{port}"
        self.url = f"http://{listen}/api/v1"
        self.stage = pathlib.Path(folder) / "stage"
        self.stage.mkdir()
        self.program = program()
        self.environment = os.environ | {
            "STAGE": str(self.stage),
            "DATABASE_PORT": str(database),
            "PROVIDER": provider.url,
            "STEAD_STATE_DIR": folder,
            "STEAD_URL": f"http://{listen}",
        }
        self.run("up", str(HERE / "fleet.toml"), "--listen", listen, "--detach")

    def run(self, *words):
        ended = subprocess.run([self.program, *words], env=self.environment, capture_output=True, text=True, check=False)
        if ended.returncode:
            sys.exit(f"`stead {' '.join(words)}` ended with {ended.returncode}:\n{ended.stdout}{ended.stderr}")
        return ended.stdout

    def ask(self, path):
        try:
            with urllib.request.urlopen(self.url + path, timeout=60 * SLACK) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as refused:
            sys.exit(f"FAILED: {path} answers {refused.code}: {refused.read().decode()}")

    def agent(self, name):
        return self.ask(f"/agents/{name}")

    def condition(self, name, wanted):
        """What is said of a condition of an agent, where it has it."""
        held = self.agent(name)["conditions"]
        return next((one["detail"] for one in held if one["condition"] == wanted), None)

    def is_well(self, name):
        agent = self.agent(name)
        return agent["health"] == "healthy" and agent["ready"] and not agent["conditions"]

    def attempts(self, name):
        """The attempts to bring an agent back, the first one first."""
        return sorted(self.ask(f"/recoveries?agent={name}")["items"], key=lambda row: row["number"])

    def reason(self, name, code):
        """What is said of the newest transition for a reason."""
        rows = self.ask(f"/agents/{name}/transitions?reason={code}")["items"]
        return rows[0]["description"] if rows else None

    def begin(self, role):
        (self.stage / role).touch()

    def end(self, role):
        (self.stage / role).unlink(missing_ok=True)


class Misfortune:
    """One of them: what happens, and what must be seen of it in which time, in seconds from its beginning."""

    def __init__(self, stead, title):
        self.stead, self.began = stead, time.monotonic()
        print(f"\n{title}", flush=True)

    def must(self, what, within, look):
        """Waits until a look sees something, and prints it."""
        bound = within * SLACK
        while True:
            seen = look()
            took = time.monotonic() - self.began
            check(seen or took < bound, f"not {what} within {bound:g} s")
            if seen:
                break
            time.sleep(0.02)
        check(took < bound, f"{what} after {took:.1f} s, not within {bound:g} s")
        print(f"  {what:<10} after {took:5.2f} s (within {within:g} s): {seen}", flush=True)

    def explained(self, name, *words):
        """Prints the answer of `stead why`, and of what it rests on the lines that say these words."""
        answer, *rest = self.stead.run("why", name).splitlines()
        print(f"  {'explained':<10} {answer}", flush=True)
        for word in words:
            said = next((line for line in [answer, *rest] if word in line), None)
            check(said, f"`stead why {name}` does not tell of `{word}`:\n{answer}\n" + "\n".join(rest))
            if said != answer:
                print(f"  {'':<10} {said.strip()}", flush=True)


def check(holds, otherwise):
    if not holds:
        sys.exit(f"FAILED: {otherwise}")


def verified(stead, name, number):
    """What brought an agent back, once that was seen."""
    rows = [row for row in stead.attempts(name) if row["number"] >= number]
    done = next((row for row in rows if row["state"] == "verified"), None)
    if done and stead.is_well(name):
        return f"{done['strategy']} {done['number']} for {done['failure']}, verified: {done['detail']}"
    return None


def crash_loop(stead):
    one = Misfortune(stead, "crash loop: one that ends as soon as it is started")
    stead.begin("crashy")
    one.must("detected", 5, lambda: next((row["cause"] for row in stead.attempts("crashy")), None))
    one.must("held", 30, lambda: stead.condition("crashy", "quarantined"))
    one.explained("crashy", "more than 3 restarts")
    stead.end("crashy")
    stead.run("start", "crashy", "--wait")
    one.must("recovered", 45, lambda: stead.is_well("crashy") and "mended, and started on a person's word")


def hang(stead):
    one = Misfortune(stead, "hang: the process lives, its work stands still")
    stead.begin("hang")
    one.must("detected", 10, lambda: next((row["cause"] for row in stead.attempts("hang")), None))
    one.explained("hang", "heartbeat_timeout")
    one.must("recovered", 20, lambda: verified(stead, "hang", 1))


def leak(stead):
    one = Misfortune(stead, "leak: memory that only grows")
    first = stead.agent("leaky")["incarnation"]
    stead.begin("leaky")
    one.must("detected", 30, lambda: stead.reason("leaky", "degradation.metric_threshold"))
    stead.end("leaky")
    renewed = lambda: stead.agent("leaky")["incarnation"] > first and stead.is_well("leaky")
    one.must("recovered", 45, lambda: renewed() and "drained and started again before its memory was full")
    one.explained("leaky", "grows without rest")


def outage(stead):
    one = Misfortune(stead, "outage: the database is away, and nobody who needs it can work")
    writers = ["writer-1", "writer-2"]
    before = [stead.agent(name)["restarts"] for name in writers]
    stead.begin("database")
    one.must("detected", 10, lambda: not stead.agent("database")["ready"] and evidence(stead, "database", "probe.readiness"))
    held = lambda: all(stead.condition(name, "held") for name in writers) and stead.condition("writer-1", "held")
    one.must("held", 25, held)
    one.explained("writer-1", "which is down")
    stead.end("database")
    back = lambda: all(stead.is_well(name) for name in writers)
    one.must("recovered", 60, lambda: back() and "let go by itself once the database is back")
    after = [stead.agent(name)["restarts"] for name in writers]
    check(before == after, f"restarts of {writers}: {before} before, {after} after")
    print("  and nobody was restarted for it", flush=True)


def evidence(stead, name, kind):
    return next((seen["detail"] for seen in stead.agent(name)["evidence"] if seen["kind"] == kind), None)


def credential(stead, provider):
    one = Misfortune(stead, "credential: it has expired, which no start can help")
    restarts = stead.agent("mailer")["restarts"]
    provider.status = 401
    one.must("held", 10, lambda: stead.condition("mailer", "held"))
    one.must("asked", 20, lambda: evidence(stead, "mailer", "probe.clear"))
    one.explained("mailer", "exit code 77 is listed as final")
    check(stead.agent("mailer")["restarts"] == restarts, "it was started again though no start can help")
    provider.status = 200
    one.must("recovered", 45, lambda: verified(stead, "mailer", 1))


def loop(stead):
    one = Misfortune(stead, "loop: the same call again and again, and nothing comes of it")
    stead.begin("looping")
    one.must("detected", 10, lambda: stead.condition("looping", "looping"))
    one.explained("looping", "the same call again and again")
    one.must("acted upon", 30, lambda: next((row["cause"] for row in stead.attempts("looping")), None))
    stead.end("looping")
    one.must("recovered", 45, lambda: verified(stead, "looping", 1))


def main():
    provider = Provider()
    with tempfile.TemporaryDirectory(prefix="stead-incident-") as folder:
        stead = Stead(folder, provider)
        try:
            fleet = ["database", "crashy", "hang", "leaky", "writer-1", "writer-2", "mailer", "looping"]
            Misfortune(stead, f"a fleet of {len(fleet)}").must(
                "well", 60, lambda: all(stead.is_well(name) for name in fleet) and "all of it"
            )
            crash_loop(stead)
            hang(stead)
            leak(stead)
            outage(stead)
            credential(stead, provider)
            loop(stead)
        finally:
            stead.run("down")
    print(f"\n{time.monotonic() - BEGUN:.0f} s: every misfortune was detected, explained, and recovered or held in its time")


BEGUN = time.monotonic()
if __name__ == "__main__":
    main()
