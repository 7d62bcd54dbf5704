"""An API that answers as it is told, over a real socket."""

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = tuple[int, dict[str, str], Any]
CUT: Answer = (0, {}, None)
"""No answer: the connection is closed after the request was read."""


@dataclass
class Stub:
    url: str
    bodies: list[Any] = field(default_factory=list)


@contextlib.contextmanager
def answering(answer: Callable[[int, Any], Answer]) -> Iterator[Stub]:
    """answer: gets the number of the request, from 1, and its body."""
    stub = Stub("")

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            stub.bodies.append(body)
            status, headers, document = answer(len(stub.bodies), body)
            if status == 0:
                self.close_connection = True
                return
            text = json.dumps(document).encode()
            self.send_response(status)
            for name, value in {"content-length": str(len(text)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: Any) -> None:
            """Nothing: the test looks at what came."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    stub.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield stub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def problem(status: int, code: str, detail: str, **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return status, named, {"status": status, "code": code, "detail": detail}


def accepted(body: Any) -> Answer:
    """As the API answers: an id for a single one, a result for each of many."""
    if "notifications" not in body:
        return 202, {}, {"notification_id": "00000000-0000-7000-8000-000000000000"}
    results = [
        {"index": index, "notification_id": one.get("idempotency_key", "none")}
        for index, one in enumerate(body["notifications"])
    ]
    return 202, {}, {"accepted": len(results), "rejected": 0, "results": results}
