"""What the Python agents of the example share: where things are, and how to speak to Stead. Standard library only."""

import contextlib
import os
import pathlib
import socket
import tempfile

# The files that the agents work on: the repository that this file lies in.
REPO = pathlib.Path(__file__).resolve().parents[2]

# What agents leave for one another. The fleet file sets WORK; a run by hand finds the same kind of place.
WORK = pathlib.Path(os.environ.get("WORK") or pathlib.Path(tempfile.gettempdir()) / "stead-example-by-hand")

# What an agent keeps for itself from one life to the next. Stead gives each agent a folder of its own.
OWN = pathlib.Path(os.environ.get("STEAD_AGENT_DIR") or WORK)

for folder in (WORK, OWN):
    folder.mkdir(parents=True, exist_ok=True)


def tell(*lines):
    """Sends lines such as READY=1 to whoever supervises us: the protocol of sd_notify, one datagram. No supervisor, no message;
    and one that is away for a moment is no reason to die."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    if address.startswith("@"):  # an abstract socket of Linux
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as client, contextlib.suppress(OSError):
        client.sendto("\n".join(lines).encode(), address)


def write(name, text):
    """Writes a file of WORK so that readers see the old one or the new one, never half of it."""
    half = WORK / f".{name}.{os.getpid()}"
    half.write_text(text, encoding="utf-8")
    half.replace(WORK / name)


def sources(*kinds):
    """The repository's own files of these kinds, in a stable order."""
    for folder in ("crates", "docs", "examples", "xtask", "bench"):
        for path in sorted((REPO / folder).rglob("*")):
            if path.suffix in kinds and path.is_file():
                yield path
