"""Builds an index of the repository: for each word, the files that have it. Anew every few seconds."""

import collections
import json
import re
import time

from common import REPO, sources, write

WORD = re.compile(r"[a-z][a-z_]{2,}")

while True:
    started = time.monotonic()
    index = collections.defaultdict(list)
    files = 0
    for path in sources(".md", ".rs", ".py", ".sh", ".toml"):
        files += 1
        for word in set(WORD.findall(path.read_text(encoding="utf-8", errors="replace").lower())):
            index[word].append(str(path.relative_to(REPO)))
    write("index.json", json.dumps(index))
    print(f"{len(index)} words of {files} files in {time.monotonic() - started:.2f} s", flush=True)
    time.sleep(10)
