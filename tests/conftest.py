"""Registers the providers of real components; fixtures of one suite stand in that suite's own conftest."""

pytest_plugins = [
    "tests.components.loopback",
    "tests.components.postgres",
    "tests.components.kafka",
    "tests.components.prometheus",
    "tests.components.browser",
    "tests.components.smtp",
    "tests.components.gate",  # last: it imports the others
]
