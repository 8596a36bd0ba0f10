"""Answers GET /search?q=WORD from the index, on loopback. /ready says whether there is an index, /live that it is alive."""

import http.server
import json
import os
import urllib.parse

from common import WORK

PORT = int(os.environ.get("SEARCH_PORT", "17871"))
INDEX = WORK / "index.json"


class Search(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        if url.path == "/live":
            self.answer(200, {"alive": True})
        elif url.path == "/ready":
            self.answer(200 if INDEX.exists() else 503, {"ready": INDEX.exists()})
        elif url.path == "/search" and INDEX.exists():
            word = urllib.parse.parse_qs(url.query).get("q", [""])[0].lower()
            self.answer(200, {"word": word, "files": json.loads(INDEX.read_text()).get(word, [])})
        else:
            self.answer(404, {"try": "/search?q=heartbeat"})

    def answer(self, status, body):
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, form, *values):
        if not self.path.startswith(("/live", "/ready")):  # probes would fill the log
            print(form % values, flush=True)


print(f"searching at http://127.0.0.1:{PORT}/search?q=heartbeat", flush=True)
http.server.ThreadingHTTPServer(("127.0.0.1", PORT), Search).serve_forever()
