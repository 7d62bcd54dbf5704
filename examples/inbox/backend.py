"""The backend of a page with a bell: it knows who is signed in, and gets a token for their feed.

    python examples/inbox/backend.py [port]

TIDINGS_API_KEY stays here; the page gets a token that opens one user's feed for an hour, and nothing else.
"""

import json
import os
import sys
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.error import HTTPError

TIDINGS = os.environ.get("TIDINGS_URL", "http://127.0.0.1:8000")
HERE = Path(__file__).parent
FILES = {"/": ("page.html", "text/html"), "/feed.js": ("feed.js", "text/javascript")}
SIGNED_IN = "ada"  # a real backend takes this from its session
TEMPLATE = {
    "id": "inbox_example",
    "category": "social",
    "content": {"in_app": {"title": "{{ title }}", "body": "{{ body }}"}},
}


def tidings(path: str, body: object) -> dict[str, str]:
    request = urllib.request.Request(f"{TIDINGS}{path}", json.dumps(body).encode())
    request.add_header("Authorization", f"Bearer {os.environ['TIDINGS_API_KEY']}")
    request.add_header("Content-Type", "application/json")
    with urllib.request.urlopen(request, timeout=10) as answer:
        answered: dict[str, str] = json.load(answer)
        return answered


class Backend(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        name, kind = FILES.get(self.path, ("", ""))
        if name:
            self.answer(200, f"{kind}; charset=utf-8", (HERE / name).read_bytes())
        else:
            self.answer(404, "text/plain", b"There is no such page.")

    def do_POST(self) -> None:
        given = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path == "/token":
            made = tidings(f"/users/{SIGNED_IN}/inbox/tokens", {})
            answer = {"url": TIDINGS, "user": SIGNED_IN, "token": made["token"]}
        else:
            answer = tidings("/notifications/send", message(json.loads(given)))
        self.answer(200, "application/json", json.dumps(answer).encode())

    def answer(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(body)


def message(data: dict[str, str]) -> dict[str, object]:
    return {"template_id": TEMPLATE["id"], "recipient": {"user_id": SIGNED_IN}, "data": data}


def main() -> None:
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 8090
    try:
        tidings("/templates", TEMPLATE)
    except HTTPError as error:
        if error.code != 409:  # it is there already
            raise
    print(f"Open http://127.0.0.1:{port} in two tabs.", flush=True)
    ThreadingHTTPServer(("127.0.0.1", port), Backend).serve_forever()


if __name__ == "__main__":
    main()
