"""A scrape of a booper's metrics, by name and labels."""

from collections.abc import Mapping, Sequence

from prometheus_client import Metric
from prometheus_client.openmetrics import parser

from tests.support.api import Api

Labels = Mapping[str, str]
HEADERS = {"Host": "localhost", "Accept": "application/openmetrics-text;version=1.0.0"}


class Scrape:
    """The samples of a scrape."""

    def __init__(self, text: str) -> None:
        self.samples = [
            (sample.name, dict(sample.labels), float(sample.value))
            for family in families(text)
            for sample in family.samples
        ]

    def value(self, name: str, **labels: str) -> float:
        """Return the sum of the samples with these labels and any others; 0 if there are none."""
        return sum(
            value
            for found, of, value in self.samples
            if found == name and labels.items() <= of.items()
        )

    def by(self, name: str, *labels: str) -> dict[tuple[str, ...], float]:
        """Return the sums of a metric's samples by these labels, without those that are 0."""
        sums: dict[tuple[str, ...], float] = {}
        for found, of, value in self.samples:
            if found == name and value:
                key = tuple(of[label] for label in labels)
                sums[key] = sums.get(key, 0) + value
        return sums


def families(text: str) -> Sequence[Metric]:
    """Return the metrics of a text in OpenMetrics."""
    return list(parser.text_string_to_metric_families(text))  # type: ignore[no-untyped-call]


async def scraped(api: Api) -> Scrape:
    """Scrape a booper."""
    response = await api.get("/metrics", headers=HEADERS)
    assert response.status_code == 200, response.text
    return Scrape(response.text)
