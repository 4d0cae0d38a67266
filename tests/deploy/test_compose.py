"""The compose example and its proxy: valid, and in step with the code."""

import subprocess
import sys
from pathlib import Path

import yaml

from services.shared.process.routing import EXACT, PREFIXES, service_of

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"


def test_compose_file_follows_the_compose_specification() -> None:
    words = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    checked = subprocess.run(
        [*words, str(DEPLOY / "compose.yaml")], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_compose_has_no_secret_with_a_default() -> None:
    text = (DEPLOY / "compose.yaml").read_text()
    for name in ("BAITWELL_SECRET_KEYS", "BAITWELL_CONTACT_KEY", "POSTGRES_PASSWORD"):
        assert f"${{{name}:?" in text
        assert f"${{{name}:-" not in text


def test_every_service_runs_from_compose() -> None:
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    for name in set(PREFIXES.values()):
        assert services[name]["command"] == ["run", name]


def test_proxy_of_compose_routes_as_the_table_says() -> None:
    routed: dict[str, str] = {}
    for line in (DEPLOY / "caddy" / "Caddyfile").read_text().splitlines():
        words = line.split()
        if len(words) > 2 and words[1] == "path":
            routed |= dict.fromkeys(words[2:], words[0].removeprefix("@"))
    expected = dict(EXACT)
    for prefix, name in PREFIXES.items():
        expected |= {prefix: name, f"{prefix}/*": name}
    assert routed == expected


def test_a_prefix_is_a_whole_segment() -> None:
    assert service_of("/o/abc") == "metrics"
    assert service_of("/openapi.json") is None
    assert service_of("/v1/baits/x/leads") == "capture"
    assert service_of("/docs/push/openapi.json") == "push"
    assert service_of("/internal/freshness") is None
