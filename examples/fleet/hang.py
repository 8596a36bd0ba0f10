"""Checks the links between the Markdown files, and now and then stops dead without dying, as programs do on a lock."""

import os
import re
import time

from common import REPO, sources, tell, write

SECONDS = float(os.environ.get("HANG_AFTER", "25"))
LINK = re.compile(r"\]\(([^)#:]+)\)")

tell("READY=1")
end = time.monotonic() + SECONDS
while time.monotonic() < end:
    broken = [
        f"{path.relative_to(REPO)}: {target}\n"
        for path in sources(".md")
        for target in LINK.findall(path.read_text(encoding="utf-8"))
        if not (path.parent / target).exists()
    ]
    write("links.txt", "".join(broken))
    tell(f"STATUS={len(broken)} broken links", "WATCHDOG=1")
    time.sleep(min(1, SECONDS))

print("now it hangs: no exit code, no message, only silence", flush=True)
while True:
    time.sleep(3600)
