"""The expressions of the shipped Grafana dashboards, as Grafana would ask them."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_BUILT_IN = {
    "$__rate_interval": "1m",
    "$__interval": "15s",
    "$__range": "5m",
    "${__range}": "5m",
    "${__rate_interval}": "1m",
    "${__interval}": "15s",
}


def expressions(folder: Path) -> Iterator[tuple[str, str]]:
    """Each expression with the place where it stands. A variable stands for all of its values."""
    for path in sorted(folder.rglob("*.json")):
        dashboard = json.loads(path.read_text())
        if "panels" not in dashboard:
            continue
        names = [one["name"] for one in dashboard.get("templating", {}).get("list", [])]
        for panel in _panels(dashboard["panels"]):
            for target in panel.get("targets", []):
                if "expr" in target:
                    where = f"{path.name}: {panel.get('title', '?')}"
                    yield where, _filled(target["expr"], names)


def _panels(panels: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for panel in panels:
        yield panel
        yield from _panels(panel.get("panels", []))


def _filled(expression: str, names: list[str]) -> str:
    for name, value in _BUILT_IN.items():
        expression = expression.replace(name, value)
    for name in names:
        expression = re.sub(rf"\$\{{{name}(:\w+)?\}}|\${name}\b", ".*", expression)
    return expression
