"""The API as an OpenAPI 3.1 document, made of the table of endpoints and of the types of its handlers."""

from collections.abc import Mapping
from functools import cache
from typing import Any

import msgspec

from gateway.management_api.endpoint import Endpoint
from gateway.management_api.endpoints import ENDPOINTS
from gateway.management_api.events import EventStream
from gateway.management_api.problems import ProblemDocument

_SCHEMAS = "#/components/schemas/"
_JSON, _PROBLEM, _EVENTS = "application/json", "application/problem+json", "text/event-stream"

# What anything may be answered with; some of it, only what changes something.
PROBLEMS = {
    400: "The body is not JSON",
    401: "A token is needed, or this one does not count",
    403: "The token lacks a permission, or the address is not allowed",
    404: "Not there, or not for this token",
    409: "Not as things are now",
    413: "The body is too long",
    415: "The body is of another kind than JSON",
    422: "Not what can be asked for",
    429: "Too many wrong tokens from this address",
    502: "A server did not do it",
    503: "Not now; try again in a moment",
}
OF_CHANGES = {400, 409, 413, 415, 502}

_DESCRIPTION = (
    "Servers, meetings, recordings and tenants of a Meetingpool, for programs. Send a token as `Authorization: Bearer mp_…`; "
    "`meetingpool tokens create` makes one. Whatever changes something takes `?dry_run=true`, and leaves an entry in the audit."
)


@cache
def document() -> bytes:
    """The document as it is served."""
    return msgspec.json.encode(described())


def described() -> dict[str, Any]:
    schemas, components = _schemas()
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in ENDPOINTS:
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = _operation(endpoint, schemas, components)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Meetingpool", "version": "1", "description": _DESCRIPTION},
        "servers": [{"url": "/api/v1"}],
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "schemas": _used(components, paths),
            "responses": {
                str(status): {"description": text, "content": {_PROBLEM: {"schema": {"$ref": f"{_SCHEMAS}ProblemDocument"}}}}
                for status, text in PROBLEMS.items()
            },
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _schemas() -> tuple[dict[Any, Any], dict[str, Any]]:
    """The schemas of all types that are asked and answered, and those that they refer to, by their names."""
    kinds: list[Any] = [ProblemDocument]
    for endpoint in ENDPOINTS:
        kinds += [endpoint.query, *filter(None, [endpoint.body]), *endpoint.parts.values()]
        kinds += [endpoint.answer] if endpoint.answer is not EventStream else []
    kinds = list({id(kind): kind for kind in kinds}.values())
    found, components = msgspec.json.schema_components(kinds, ref_template=_SCHEMAS + "{name}")
    return dict(zip(map(id, kinds), found, strict=True)), components


def _operation(endpoint: Endpoint, schemas: Mapping[Any, Any], components: Mapping[str, Any]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": endpoint.name,
        "tags": [endpoint.noun],
        "summary": endpoint.summary,
        "description": endpoint.description,
        "x-permission": endpoint.permission,
        "parameters": [*_parts(endpoint, schemas), *_query(schemas[id(endpoint.query)], components)],
        "responses": _responses(endpoint, schemas),
    }
    if endpoint.body:
        body = schemas[id(endpoint.body)]
        needed = _resolved(body, components).get("required")
        operation["requestBody"] = {"required": bool(needed), "content": {_JSON: {"schema": body}}}
    return operation


def _parts(endpoint: Endpoint, schemas: Mapping[Any, Any]) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "schema": {**schemas[id(kind)], "minLength": 1}}
        if kind is str
        else {"name": name, "in": "path", "required": True, "schema": schemas[id(kind)]}
        for name, kind in endpoint.parts.items()
    ]


def _query(schema: Mapping[str, Any], components: Mapping[str, Any]) -> list[dict[str, Any]]:
    whole = _resolved(schema, components)
    return [
        {"name": name, "in": "query", "required": name in whole.get("required", ()), "schema": _without_null(each)}
        for name, each in whole["properties"].items()
    ]


def _without_null(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A query says null by saying nothing."""
    kinds = [kind for kind in schema.get("anyOf", ()) if kind != {"type": "null"}]
    rest = {name: value for name, value in schema.items() if name != "anyOf" and (name, value) != ("default", None)}
    return {**rest, **(kinds[0] if len(kinds) == 1 else {"anyOf": kinds} if kinds else {})}


def _resolved(schema: Mapping[str, Any], components: Mapping[str, Any]) -> Mapping[str, Any]:
    reference = schema.get("$ref")
    return components[reference.rpartition("/")[2]] if reference else schema


def _responses(endpoint: Endpoint, schemas: Mapping[Any, Any]) -> dict[str, Any]:
    if endpoint.answer is EventStream:
        content: dict[str, Any] = {_EVENTS: {"schema": {"type": "string"}}}
    else:
        content = {_JSON: {"schema": schemas[id(endpoint.answer)]}}
    done = {endpoint.status: "Done"} | ({200: "What would be done, or was done before"} if endpoint.status != 200 else {})
    refused = PROBLEMS if endpoint.changes else PROBLEMS.keys() - OF_CHANGES
    return {str(status): {"description": text, "content": content} for status, text in done.items()} | {
        str(status): {"$ref": f"#/components/responses/{status}"} for status in sorted(refused)
    }


def _used(components: Mapping[str, Any], paths: Any) -> dict[str, Any]:
    """Those of the components to which something leads: queries are shown by their parameters."""
    used: dict[str, Any] = {}
    leads = [*_references(paths), "ProblemDocument"]
    while leads:
        name = leads.pop()
        if name not in used:
            used[name] = components[name]
            leads += _references(components[name])
    return dict(sorted(used.items()))


def _references(part: Any) -> list[str]:
    match part:
        case dict():
            own = [part["$ref"].rpartition("/")[2]] if str(part.get("$ref", "")).startswith(_SCHEMAS) else []
            return own + [name for each in part.values() for name in _references(each)]
        case list():
            return [name for each in part for name in _references(each)]
        case _:
            return []
