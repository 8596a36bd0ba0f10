"""Takes checksums of the sources, and dies now and then: by exit code 1, and by a signal every other time."""

import hashlib
import os
import signal
import sys
import time

from common import OWN, REPO, sources, write

SECONDS = float(os.environ.get("CRASH_AFTER", "20"))

# What an agent must remember it keeps in a file: the next life finds it there.
lives = OWN / "crashy-lives"
life = int(lives.read_text()) + 1 if lives.exists() else 1
lives.write_text(str(life))
print(f"life {life} begins", flush=True)

end = time.monotonic() + SECONDS
while time.monotonic() < end:
    sums = {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in sources(".rs", ".toml")}
    write("checksums.txt", "".join(f"{digest}  {path.relative_to(REPO)}\n" for path, digest in sums.items()))
    time.sleep(min(1, SECONDS))

if life % 2:
    print("out of luck: exit code 1", file=sys.stderr, flush=True)
    sys.exit(1)
print("out of luck: SIGKILL", file=sys.stderr, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
