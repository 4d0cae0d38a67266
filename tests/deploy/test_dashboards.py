"""Scrape configuration, alerts and dashboards: valid, tested, and about series that exist."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import promql_parser
import pytest
import yaml

from services.metrics.app import build as build_metrics
from services.push.deliveries.gauges import DispatchMetrics
from services.shared.process.routing import PREFIXES
from tests.e2e.dashboards import expressions
from tests.ground import close_ground, make_ground

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
PROMETHEUS, GRAFANA = DEPLOY / "prometheus", DEPLOY / "grafana"
DASHBOARDS = sorted((GRAFANA / "dashboards").glob("*.json"))
EXPRESSIONS = list(expressions(GRAFANA))
Promtool = Callable[..., "CompletedProcess[str]"]


def rules() -> Iterator[dict[str, Any]]:
    for group in yaml.safe_load((PROMETHEUS / "alerts.yml").read_text())["groups"]:
        yield from group["rules"]


class TestPrometheus:
    @pytest.mark.parametrize("name", ["prometheus.yml", "scaled.yml"])
    def test_configurations_are_valid(self, promtool: Promtool, name: str) -> None:
        done = promtool("check", "config", PROMETHEUS / name)
        assert done.returncode == 0, done.stdout + done.stderr

    def test_alerts_fire_when_they_must_and_only_then(self, promtool: Promtool) -> None:
        done = promtool("test", "rules", PROMETHEUS / "alerts_test.yml")
        assert done.returncode == 0, done.stdout + done.stderr

    def test_every_alert_is_tested_both_ways_and_says_what_to_do(self) -> None:
        tests = yaml.safe_load((PROMETHEUS / "alerts_test.yml").read_text())["tests"]
        cases = [case for test in tests for case in test["alert_rule_test"]]
        fired = {case["alertname"] for case in cases if case.get("exp_alerts")}
        silent = {case["alertname"] for case in cases if not case.get("exp_alerts")}
        names = {rule["alert"] for rule in rules()}
        assert fired == silent == names
        for rule in rules():
            assert rule["labels"]["severity"] in ("warning", "critical")
            assert {"summary", "description"} <= set(rule["annotations"])

    def test_each_service_is_a_target(self) -> None:
        config = yaml.safe_load((PROMETHEUS / "scaled.yml").read_text())
        (job,) = config["scrape_configs"]
        (group,) = job["static_configs"]
        assert {target.split(":")[0] for target in group["targets"]} == set(PREFIXES.values())


class TestDashboards:
    def test_there_is_one_for_the_funnel_and_one_for_operations(self) -> None:
        boards = [json.loads(path.read_text()) for path in DASHBOARDS]
        assert {board["uid"] for board in boards} == {"baitwell-funnel", "baitwell-operations"}

    @pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
    def test_panels_have_places_of_their_own(self, path: Path) -> None:
        panels = json.loads(path.read_text())["panels"]
        assert len({panel["id"] for panel in panels}) == len(panels)
        taken: set[tuple[int, int]] = set()
        for panel in panels:
            at = panel["gridPos"]
            assert at["x"] + at["w"] <= 24
            cells = {
                (x, y)
                for x in range(at["x"], at["x"] + at["w"])
                for y in range(at["y"], at["y"] + at["h"])
            }
            assert not cells & taken, panel["title"]
            taken |= cells

    @pytest.mark.parametrize(("where", "expression"), EXPRESSIONS)
    def test_every_expression_parses(self, where: str, expression: str) -> None:
        promql_parser.parse(expression)

    @pytest.mark.parametrize(("where", "expression"), EXPRESSIONS)
    def test_gauges_and_totals_take_the_maximum_over_replicas(
        self, where: str, expression: str
    ) -> None:
        for name in ("baitwell_funnel_total", "baitwell_consumer_lag_records", "baitwell_parked"):
            if name in expression:
                assert "max by (" in expression, where


async def test_series_that_are_asked_for_exist(tmp_path: Path) -> None:
    ground = make_ground(tmp_path, "metrics")
    build_metrics(ground)
    DispatchMetrics(ground.registry)
    known = {"up"}
    for family in ground.registry.collect():
        kinds = {"counter": ("_total",), "histogram": ("_bucket", "_count", "_sum")}
        known |= {family.name + end for end in kinds.get(family.type, ("",))}
    await close_ground(ground)
    asked = " ".join([*(text for _, text in EXPRESSIONS), *(rule["expr"] for rule in rules())])
    names = set(re.findall(r"\b(baitwell_[a-z_]+)\b(?=[{\[) ])", asked))
    assert names
    assert names <= known


def test_grafana_finds_its_dashboards_where_compose_puts_them() -> None:
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]["grafana"]
    provided = yaml.safe_load((GRAFANA / "provisioning/dashboards/baitwell.yaml").read_text())
    (provider,) = provided["providers"]
    assert any(volume.split(":")[1] == provider["options"]["path"] for volume in compose["volumes"])
    source = yaml.safe_load((GRAFANA / "provisioning/datasources/prometheus.yaml").read_text())
    assert source["datasources"][0]["type"] == "prometheus"
