"""The agents of the incident: each does a little work until the stage says that its misfortune has come. Standard library only.

    python3 agent.py ROLE
"""

import json
import os
import pathlib
import socket
import sys
import time
import urllib.error
import urllib.request

# Where the misfortunes are: a file with the name of a role is there while that role shall suffer.
STAGE = pathlib.Path(os.environ["STAGE"])
ROLE = sys.argv[1]


def suffers():
    return (STAGE / ROLE).exists()


def tell(*lines):
    """Word to who supervises it, by the protocol of sd_notify."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as client:
        client.sendto("\n".join(lines).encode(), os.environ["NOTIFY_SOCKET"])


def beat(**said):
    """One beat; that it does not come through is no reason to die."""
    url = f"{os.environ['STEAD_URL']}/api/v1/agents/{os.environ['STEAD_AGENT']}/heartbeats"
    said["incarnation"] = int(os.environ["STEAD_INCARNATION"])
    ask = urllib.request.Request(url, json.dumps(said).encode(), {"content-type": "application/json"})
    try:
        urllib.request.urlopen(ask, timeout=10).close()
    except OSError as error:
        print(f"a beat did not come through: {error}", flush=True)


def database():
    """Serves nothing but connections, and none while it suffers."""
    port = int(os.environ["DATABASE_PORT"])
    tell("READY=1")
    while True:
        with socket.create_server(("127.0.0.1", port), backlog=64) as server:
            server.settimeout(0.05)
            while not suffers():
                try:
                    server.accept()[0].close()
                except TimeoutError:
                    pass
        while suffers():
            time.sleep(0.02)


def crashy():
    if not suffers():
        tell("READY=1")
    while not suffers():
        time.sleep(0.02)
    print("cannot read its index: unexpected end of file", file=sys.stderr, flush=True)
    sys.exit(1)


def hang():
    tell("READY=1")
    while not suffers():
        tell("WATCHDOG=1")
        time.sleep(0.1)
    # One run hangs; the next one finds its lock free.
    (STAGE / ROLE).unlink()
    while True:
        time.sleep(3600)


def leaky():
    tell("READY=1")
    kept, steps = [], 0
    while True:
        if suffers():
            kept.append(bytearray(1 << 16))
        steps += 1
        # 64 KiB of the 32 MiB that it may have, and the little that comes and goes with each piece of work.
        beat(metrics={"memory_usage": min(0.30 + len(kept) * 0.002 + steps % 2 * 0.005, 1.0)})
        time.sleep(0.05)


def writer():
    address = ("127.0.0.1", int(os.environ["DATABASE_PORT"]))
    tell("READY=1")
    while True:
        try:
            socket.create_connection(address, timeout=5).close()
            tell("WATCHDOG=1")
        except OSError:
            pass
        time.sleep(0.1)


def is_refused():
    try:
        urllib.request.urlopen(os.environ["PROVIDER"], timeout=10).close()
    except urllib.error.HTTPError as error:
        return error.code == 401
    return False


def mailer():
    if is_refused():
        refused()
    tell("READY=1")
    while not is_refused():
        time.sleep(0.1)
    refused()


def refused():
    print("401: the credential has expired", file=sys.stderr, flush=True)
    sys.exit(77)


def credential():
    """Whether the credential is good again; what the fleet file has asked while the mailer is held."""
    sys.exit("401: the credential has expired" if is_refused() else 0)


def looping():
    tell("READY=1")
    done = 0
    while True:
        call = 4711
        if not suffers():
            done += 1
            call = done
        # Each call is told of twice: as it begins, and shortly before it ends.
        for lasts in ["0ms", "90ms"]:
            beat(progress=done, activity={"kind": "tool", "for": lasts, "hash": call})
            time.sleep(0.05)


ROLES = [database, crashy, hang, leaky, writer, mailer, credential, looping]
next(role for role in ROLES if role.__name__ == ROLE)()
