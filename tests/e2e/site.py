"""The company's own website: another origin, which knows Baitwell only by its public addresses."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

HOST = "shop.localhost"
"""Every browser takes names under `localhost` for this machine."""


class Site:
    """Pages by path, with their headers; `asked` has what was requested, with the query."""

    def __init__(self) -> None:
        self._pages: dict[str, tuple[dict[str, str], bytes]] = {"/favicon.ico": ({}, b"")}
        self._asked: list[str] = []
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                site._asked.append(self.path)
                found = site._pages.get(self.path.partition("?")[0])
                headers, body = found or ({}, b"not here")
                self.send_response(200 if found else 404)
                self.send_header("content-type", "text/html; charset=utf-8")
                self.send_header("content-length", str(len(body)))
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_words: object) -> None:
                """Tests stay quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()
        self.port = self._server.server_address[1]
        self.origin = f"http://{HOST}:{self.port}"

    def put(self, path: str, body: str, headers: Mapping[str, str] | None = None) -> str:
        """Publish a page; its address."""
        document = (
            "<!doctype html><html lang=zh-CN><head><meta charset=utf-8>"
            "<meta name=viewport content='width=device-width,initial-scale=1'>"
            f"<title>商店</title></head><body>{body}</body></html>"
        )
        self._pages[path] = (dict(headers or {}), document.encode())
        return self.origin + path

    def asked(self, path: str) -> list[str]:
        """The requests for a page so far, as path and query."""
        return [one for one in list(self._asked) if one.partition("?")[0] == path]

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@contextmanager
def site() -> Iterator[Site]:
    """A website for the time of a block."""
    made = Site()
    try:
        yield made
    finally:
        made.close()
