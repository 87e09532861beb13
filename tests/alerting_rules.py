"""The alerting rules in deploy/prometheus/alerts.yml, and the samples that they select from a metrics page."""

import re
from pathlib import Path
from typing import NamedTuple

import yaml
from prometheus_client.parser import text_string_to_metric_families

FILE = Path(__file__).parent.parent / "deploy" / "prometheus" / "alerts.yml"
# The names of functions and of Prometheus's own metric `up` have no underscore.
SELECTOR = re.compile(r"\b([a-z]+_\w+)(?:\{(.*?)\})?")
MATCHER = re.compile(r'(\w+)=~?"(.*?)"')


class Selector(NamedTuple):
    """A metric, and a regular expression for each label."""

    metric: str
    labels: dict[str, str]

    def find(self, page: str) -> list[float]:
        """Return the values of the samples that match."""
        samples = [sample for family in text_string_to_metric_families(page) for sample in family.samples]
        return [
            sample.value
            for sample in samples
            if sample.name == self.metric
            and all(re.fullmatch(value, sample.labels.get(name, "")) for name, value in self.labels.items())
        ]


def expressions() -> dict[str, str]:
    """Return each alert's expression."""
    (group,) = yaml.safe_load(FILE.read_text(encoding="utf-8"))["groups"]
    return {rule["alert"]: rule["expr"] for rule in group["rules"]}


def selectors(expression: str) -> list[Selector]:
    grouped_by = dict.fromkeys(re.findall(r"by \((\w+)\)", expression), ".+")
    return [
        Selector(
            metric, grouped_by | {name: value for name, value in MATCHER.findall(matchers) if name != "job"}
        )
        for metric, matchers in SELECTOR.findall(expression)
    ]
