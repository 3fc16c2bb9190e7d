"""The metrics of the package as Prometheus reads them: exposed as text, and parsed back."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

Series = tuple[str, frozenset[tuple[str, str]]]


class Scrape(dict[Series, float]):
    """``{(sample name, labels): value}`` of one exposition, of the package's own metrics."""

    @classmethod
    def of(cls, body: bytes) -> Scrape:
        """Parse an exposition."""
        return cls(
            {
                (sample.name, frozenset(sample.labels.items())): sample.value
                for family in text_string_to_metric_families(body.decode())
                for sample in family.samples
                if sample.name.startswith("smarterbase_") and not sample.name.endswith("_created")
            }
        )

    @classmethod
    def now(cls) -> Scrape:
        """The metrics of this process."""
        from django_smarterbase.contrib.prometheus.exposition import exposition

        return cls.of(exposition().body)

    def value(self, name: str, **labels: str) -> float | None:
        """The value of one series, None where there is none."""
        return self.get((name, frozenset(labels.items())))

    def total(self, name: str, **labels: str) -> float:
        """The sum of the series that have these labels, whatever others they have."""
        return sum(
            value for (sample, has), value in self.items() if sample == name and labels.items() <= dict(has).items()
        )

    def since(self, earlier: Scrape) -> Scrape:
        """What has changed: the differences, and series that are new."""
        changes = {series: value - earlier.get(series, 0.0) for series, value in self.items()}
        return Scrape({series: value for series, value in changes.items() if value or series not in earlier})
