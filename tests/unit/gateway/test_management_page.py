"""The page and the document of the management API say what the code does."""

from pathlib import Path

from gateway.management_api.endpoints import ENDPOINTS
from gateway.management_api.openapi import described
from gateway.management_api.page import page

ROOT = Path(__file__).parents[3]


def test_the_page_is_up_to_date() -> None:
    assert (ROOT / "docs/management-api.md").read_text() == page(), "run `make reference`"


def test_every_endpoint_says_what_it_does() -> None:
    for endpoint in ENDPOINTS:
        assert endpoint.summary.endswith("."), endpoint.path


def test_no_two_operations_have_the_same_id() -> None:
    assert len({endpoint.name for endpoint in ENDPOINTS}) == len(ENDPOINTS)


def test_every_object_says_what_it_is() -> None:
    for name, schema in described()["components"]["schemas"].items():
        assert schema.get("description") or "enum" in schema or name == "ServerSecret", name
