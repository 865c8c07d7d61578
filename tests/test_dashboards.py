"""What infra/ asks Prometheus for is what a run exports, in queries that Prometheus understands."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from ray.util.metrics import Histogram, Metric

from pipeline.flow.metrics import OF_RUN, RunMetrics
from tests.support import REPOSITORY

INFRA = REPOSITORY / "infra"
RULES = INFRA / "prometheus" / "nst.rules.yml"
DASHBOARD = INFRA / "grafana" / "nst.json"


def dashboard_queries() -> list[str]:
    panels = json.loads(DASHBOARD.read_text("utf-8"))["panels"]
    return [target["expr"] for panel in panels for target in panel["targets"]]


def rule_queries() -> list[str]:
    groups = yaml.safe_load(RULES.read_text("utf-8"))["groups"]
    return [rule["expr"] for group in groups for rule in group["rules"]]


def exported() -> Iterator[str]:
    """Series as Prometheus sees them."""
    yield "ray_nst_device_busy_share"
    for metric in (value for value in vars(RunMetrics(int)).values() if isinstance(value, Metric)):
        parts = ("_bucket", "_sum", "_count") if isinstance(metric, Histogram) else ("",)
        yield from (f"ray_{metric.info['name']}{part}" for part in parts)


@pytest.mark.parametrize("query", [*dashboard_queries(), *rule_queries()])
def test_queries_are_about_what_is_exported(query: str) -> None:
    asked = set(re.findall(r"ray_nst_\w+|nst:\w+", query))
    assert asked
    recorded = {
        rule["record"] for g in yaml.safe_load(RULES.read_text())["groups"] for rule in g["rules"] if "record" in rule
    }
    assert asked <= {*exported(), *recorded}
    labels = {
        name
        for names in re.findall(r"(?:by|on) \(([\w, ]+)\)|\{(\w+)=", query)
        for one in names
        for name in one.split(", ")
    }
    assert labels - {""} <= {"status", "stage", "device", "le", *OF_RUN}


def test_every_metric_is_on_the_dashboard() -> None:
    together = " ".join(dashboard_queries())
    assert [name for name in exported() if name.rpartition("_")[0] not in together] == []


def alerts() -> list[dict[str, str]]:
    groups = yaml.safe_load(RULES.read_text("utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"] if "alert" in rule]


def test_every_alert_fires_in_a_test_and_the_guide_says_what_to_do() -> None:
    tests = yaml.safe_load((RULES.parent / "nst.rules.test.yml").read_text("utf-8"))["tests"]
    fired = {one["alertname"] for test in tests for one in test.get("alert_rule_test", []) if one["exp_alerts"]}
    silent = {one["alertname"] for test in tests for one in test.get("alert_rule_test", []) if not one["exp_alerts"]}
    named = {rule["alert"] for rule in alerts()}
    assert fired == named
    assert named - {"NstRowsFail"} <= silent
    guide = (INFRA / "README.md").read_text("utf-8")
    assert [name for name in named if f"**{name}**" not in guide] == []


def test_alerts_about_a_run_end_with_it() -> None:
    """A node exports the counters of a driver that has ended: without a rate, they look as of one that lives."""
    for rule in alerts():
        about_a_counter = re.sub(r"(rate|increase)\(ray_nst_\w+_total(\{[^}]*\})?\[\w+\]\)", "", rule["expr"])
        assert "_total" not in about_a_counter or "nst:rows_left" in about_a_counter, rule["alert"]


def test_panels_do_not_overlap() -> None:
    panels = json.loads(DASHBOARD.read_text("utf-8"))["panels"]
    places = [
        (x, y)
        for at in (panel["gridPos"] for panel in panels)
        for x in range(at["x"], at["x"] + at["w"])
        for y in range(at["y"], at["y"] + at["h"])
    ]
    assert len(places) == len(set(places))
    assert max(x for x, _ in places) < 24
    assert len({panel["id"] for panel in panels}) == len(panels)


@pytest.mark.skipif(not shutil.which("promtool"), reason="promtool comes with Prometheus, which few machines have")
def test_prometheus_understands_all_of_it(tmp_path: Path) -> None:
    def promtool(*words: str) -> None:
        ended = subprocess.run(["promtool", *words], cwd=RULES.parent, capture_output=True, text=True, check=False)
        assert ended.returncode == 0, ended.stdout + ended.stderr

    rules = [{"record": f"panel:{n}", "expr": query} for n, query in enumerate(dashboard_queries())]
    (tmp_path / "panels.yml").write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    promtool("check", "rules", str(tmp_path / "panels.yml"), RULES.name)
    promtool("check", "config", "prometheus.yml")
    promtool("test", "rules", "nst.rules.test.yml")
