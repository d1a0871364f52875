"""What /metrics shows, read by Prometheus's own library."""

from prometheus_client.parser import text_string_to_metric_families

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


class Scrape:
    """The samples of one scrape: `scrape("bbb_meetings", server="s1")`."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.types = {family.name: family.type for family in text_string_to_metric_families(text)}
        samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
        self.samples: Samples = {(sample.name, frozenset(sample.labels.items())): sample.value for sample in samples}
        assert len(self.samples) == len(samples), "a sample is shown twice"

    def __call__(self, name: str, **labels: str) -> float:
        return self.samples[name, frozenset(labels.items())]

    def labels_of(self, name: str) -> set[str]:
        """All labels that samples of this name have."""
        return {label for shown, labels in self.samples if shown == name for label, _ in labels}

    @property
    def names(self) -> set[str]:
        return {name for name, _ in self.samples}

    @property
    def counters(self) -> Samples:
        """All that may only grow."""
        grows = ("_total", "_bucket", "_count")
        return {key: value for key, value in self.samples.items() if key[0].endswith(grows) and not key[0].startswith("bbb_")}
