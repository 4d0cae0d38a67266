"""Who imports whom."""

from pathlib import Path

from checks import structure

ROOT = Path(__file__).resolve().parents[2]


def test_this_project_is_put_together_in_one_place() -> None:
    assert structure.check(ROOT) == []


def test_a_module_that_knows_two_services() -> None:
    imports = {"services.oops": {"services.push.app", "services.capture.app"}}
    assert structure.complaints_about(imports) == [
        "services.oops: imports capture, push; one service at most"
    ]


def test_the_command_line_may_know_all() -> None:
    assert (
        structure.complaints_about({"services.__main__": {"services.push", "services.capture"}})
        == []
    )


def test_kafka_has_one_place() -> None:
    imports = {"services.shared.bus.kafka": {"aiokafka"}, "services.shared.outbox": {"aiokafka"}}
    (complaint,) = structure.complaints_about(imports)
    assert complaint.startswith("services.shared.outbox: imports aiokafka")
