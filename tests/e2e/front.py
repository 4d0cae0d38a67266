"""The routing proxy of `deploy/scaled` alone: `python -m tests.e2e.front PORT capture=http://… …`."""

import asyncio
import sys

from deploy.scaled.proxy import make_proxy
from services.shared.process.serve import listen, serve


def main() -> None:
    """Serve until SIGTERM."""
    port, *pairs = sys.argv[1:]
    upstreams = dict(pair.split("=", 1) for pair in pairs)
    listener = listen("127.0.0.1", int(port))
    asyncio.run(serve(make_proxy(upstreams), listener, lambda: None))


if __name__ == "__main__":
    main()
