"""The Prometheus series that every service has. One `Telemetry` per process, on its own registry."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_LATENCY_BUCKETS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class Telemetry:
    """Shared series, labelled by service where one process runs several."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self.requests = Histogram(
            "baitwell_request_duration_seconds",
            "Time from the request's first byte to the answer's last, by route template.",
            ("service", "route", "method", "status"),
            registry=registry,
            buckets=_LATENCY_BUCKETS,
        )
        self.handled = Counter(
            "baitwell_events_handled_total",
            "Records whose effects are committed.",
            ("consumer", "topic"),
            registry=registry,
        )
        self.parked = Counter(
            "baitwell_events_parked_total",
            "Records set aside because their handling kept failing.",
            ("consumer", "topic"),
            registry=registry,
        )
        self.refetched = Counter(
            "baitwell_consumer_refetches_total",
            "Times that a consumer which stood still under lag began fetching anew.",
            ("consumer",),
            registry=registry,
        )
        self.parked_now = Gauge(
            "baitwell_parked_records",
            "Records that are parked now.",
            ("consumer", "topic"),
            registry=registry,
        )
        self.lag = Gauge(
            "baitwell_consumer_lag_records",
            "Records of a topic that are not handled yet.",
            ("consumer", "topic"),
            registry=registry,
        )
        self.outbox_depth = Gauge(
            "baitwell_outbox_messages",
            "Messages that wait for the log (an upper bound).",
            ("service",),
            registry=registry,
        )
        self.outbox_age = Gauge(
            "baitwell_outbox_oldest_seconds",
            "Age of the oldest message that waits for the log.",
            ("service",),
            registry=registry,
        )
        self.task_failures = Gauge(
            "baitwell_background_task_failures",
            "Times that a background task failed and was started again since the process began.",
            ("service", "task"),
            registry=registry,
        )
