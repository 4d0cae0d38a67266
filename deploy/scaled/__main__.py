"""`python -m deploy.scaled`: start everything, wait until it is ready, stop everything on Ctrl-C."""

import asyncio
import json
import os
import secrets
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from deploy.scaled.postgres import Postgres
from deploy.scaled.proxy import make_proxy
from services.shared.errors import SetupError
from services.shared.logs import set_up_logs
from services.shared.process.serve import listen, serve

SERVICES = ("capture", "profile", "push", "metrics")
BROKER = Path(__file__).resolve().parents[1] / "kafka" / "kafka.sh"
_READY_SECONDS = 60


def say(text: str) -> None:
    """Tell the person at the terminal."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


class Scaled:
    """The whole: broker, database, four services. Ports are `port` (proxy) and the ones after it."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder.resolve()
        self.port = port
        self.postgres = Postgres(self.folder / "postgres", port + 10)
        self.services: dict[str, subprocess.Popen[bytes]] = {}
        self.environment: dict[str, str] = {}

    def upstreams(self) -> dict[str, str]:
        """Where each service answers."""
        return {
            name: f"http://127.0.0.1:{self.port + number}"
            for number, name in enumerate(SERVICES, start=1)
        }

    def start(self) -> None:
        """Start all but the proxy. Raises `SetupError`."""
        self.folder.mkdir(parents=True, exist_ok=True)
        say("  starting PostgreSQL")
        self.postgres.start()
        say("  starting Kafka (fetched the first time)")
        servers = self._broker("start").stdout.strip()
        self.environment = self._environment(servers)
        say("  bringing the schemas up to date")
        subprocess.run(
            [sys.executable, "-m", "services", "migrate"], env=self.environment, check=True
        )
        for name in SERVICES:
            self.start_service(name)
        self._wait()

    def start_service(self, name: str) -> None:
        """Start one service; its log is a file in the folder."""
        port = self.port + 1 + SERVICES.index(name)
        with (self.folder / f"{name}.log").open("ab") as log:
            self.services[name] = subprocess.Popen(
                [sys.executable, "-m", "services", "run", name],
                env={**self.environment, "BAITWELL_PORT": str(port)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _environment(self, servers: str) -> dict[str, str]:
        urls = {f"BAITWELL_{name.upper()}_URL": url for name, url in self.upstreams().items()}
        defaults = {
            "BAITWELL_PUBLIC_URL": f"http://localhost:{self.port}",
            "BAITWELL_TRUSTED_PROXIES": "127.0.0.1",
        }
        if "BAITWELL_SMTP_URL" not in os.environ:
            defaults["BAITWELL_MAIL"] = "local"
        return {
            **defaults,
            **self._secrets(),
            **os.environ,
            **urls,
            "BAITWELL_DATABASE_URL": self.postgres.url,
            "BAITWELL_KAFKA_SERVERS": servers,
        }

    def _secrets(self) -> dict[str, str]:
        path = self.folder / "secrets.json"
        if not path.exists():
            made = {
                "BAITWELL_SECRET_KEYS": f"1:{secrets.token_urlsafe(32)}",
                "BAITWELL_CONTACT_KEY": secrets.token_urlsafe(32),
                "BAITWELL_INTERNAL_KEY": f"bwi_{secrets.token_urlsafe(32)}",
            }
            path.touch(0o600)
            path.write_text(json.dumps(made))
        kept: dict[str, str] = json.loads(path.read_text())
        return kept

    def _broker(self, action: str) -> "subprocess.CompletedProcess[str]":
        environment = {
            "KAFKA_DEV_DIR": str(self.folder / "kafka"),
            "KAFKA_DEV_PORT": str(self.port + 20),
            "KAFKA_DEV_OWNER": str(os.getpid()),
        }
        done = subprocess.run(
            [BROKER, action],
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise SetupError(f"Kafka did not {action}; the lines above say why")
        return done

    def _wait(self) -> None:
        deadline = time.monotonic() + _READY_SECONDS
        for name, url in self.upstreams().items():
            while not _ready(url):
                if self.services[name].poll() is not None or time.monotonic() > deadline:
                    raise SetupError(f"{name} did not start: see {self.folder / name}.log")
                time.sleep(0.1)

    def create_key(self) -> str | None:
        """An admin key, the first time only."""
        marker = self.folder / "key-made"
        if marker.exists():
            return None
        made = subprocess.run(
            [sys.executable, "-m", "services", "keys", "create", "first", "--scope", "admin"],
            env=self.environment,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        marker.touch()
        return made.stdout.strip()

    def stop(self) -> None:
        """Stop services, then the broker, then the database."""
        running = [process for process in self.services.values() if process.poll() is None]
        for process in running:
            process.send_signal(signal.SIGTERM)
        for process in running:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
        self._broker("stop")
        self.postgres.stop()


def _ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/health/ready", timeout=2) as answer:  # noqa: S310  # our own loopback address
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def main() -> int:
    """The command."""
    set_up_logs("WARNING")
    # until the proxy listens for it: a stop in the middle of the start ends the children, too
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    port = int(os.environ.get("BAITWELL_PORT", "8000"))
    scaled = Scaled(Path(os.environ.get("BAITWELL_DATA", "data")) / "scaled", port)
    say("Baitwell, scaled: a single broker and a single database, not safe against power loss")
    try:
        listener = listen("127.0.0.1", port)
        scaled.start()
        key = scaled.create_key()
        lines = [
            "",
            f"  Baitwell runs on http://localhost:{port}",
            *(f"    {name:9} {url}" for name, url in scaled.upstreams().items()),
            f"    logs      {scaled.folder}",
        ]
        if key:
            lines += ["", f"    your admin key     {key}", "    (shown this once: keep it)"]
        asyncio.run(serve(make_proxy(scaled.upstreams()), listener, lambda: say("\n".join(lines))))
    except KeyboardInterrupt:  # Ctrl-C is how one stops it: nothing has failed
        return 0
    except (SetupError, RuntimeError, subprocess.CalledProcessError) as error:
        sys.stderr.write(f"baitwell: {error}\n")
        return 1
    finally:
        say("  stopping")
        scaled.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
