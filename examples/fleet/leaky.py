"""Compares the sources with one another, and never lets go of what it has read. Its limit of memory ends that."""

import difflib
import os
import time

from common import sources, write

MEBIBYTES = int(os.environ.get("LEAK_PER_SECOND", "8"))

kept = []  # the leak
for second in range(10**9):
    texts = [path.read_text(encoding="utf-8", errors="replace") for path in sources(".rs")]
    kept.append("." * (MEBIBYTES << 20))
    one, other = texts[second % len(texts)][:2000], texts[(second + 1) % len(texts)][:2000]
    likeness = difflib.SequenceMatcher(None, one, other).quick_ratio()
    write("likeness.txt", f"{likeness:.2f}\n")
    print(f"likeness {likeness:.2f}, holding about {MEBIBYTES * len(kept)} MiB", flush=True)
    time.sleep(1)
