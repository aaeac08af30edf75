"""A judge behind an OpenAI-compatible API on this machine, which replies as a function of the prompt says."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@contextmanager
def judging(reply: Callable[[str], str], busy: int = 0) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """The address of the judge, and the requests it got; the first ``busy`` of them are turned away."""
    seen: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            seen.append(body | {"authorization": self.headers.get("Authorization")})
            if len(seen) <= busy:
                self.send_response(429)
                self.send_header("Retry-After", "0")
                self.end_headers()
                return
            message = {"role": "assistant", "content": reply(body["messages"][0]["content"])}
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps({"choices": [{"message": message, "finish_reason": "stop"}]}).encode())

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/v1", seen
        finally:
            server.shutdown()
            thread.join()


def part(prompt: str, name: str) -> str:
    """What stands between the markers of a name; empty where there are none."""
    found = re.search(rf"--- {name} begins ---\n(.*?)\n--- {name} ends ---", prompt, re.DOTALL)
    return found[1] if found else ""
