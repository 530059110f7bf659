"""Holds every answer of the service against its own OpenAPI document."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import jsonschema_rs
from httpx2 import Response

PROBLEM = "application/problem+json"
PROBLEM_SCHEMA = {"$ref": "#/components/schemas/Problem"}

Operation = Mapping[str, Any]


class Document:
    """An OpenAPI document; `check` is a response hook that raises `AssertionError` for what it does not allow."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document
        self._validators: dict[str, jsonschema_rs.Validator] = {}

    @cached_property
    def operations(self) -> Mapping[tuple[str, str], Operation]:
        """Each operation by its method, in capitals, and its path's template."""
        paths: dict[str, dict[str, Operation]] = self.document["paths"]
        return {
            (method.upper(), path): operation
            for path, methods in paths.items()
            for method, operation in methods.items()
        }

    @cached_property
    def _patterns(self) -> list[tuple[re.Pattern[str], str]]:
        # A path without parameters comes before one with, as in the router.
        paths = sorted(self.document["paths"], key=lambda path: path.count("{"))
        return [(re.compile(re.sub(r"\{\w+\}", "[^/]+", path)), path) for path in paths]

    def operation_of(self, method: str, path: str) -> Operation | None:
        """The operation that a request meets; None where the document has none."""
        templates = [template for pattern, template in self._patterns if pattern.fullmatch(path)]
        return next((found for template in templates if (found := self.operations.get((method, template)))), None)

    def check(self, response: Response) -> None:
        response.read()
        request = response.request
        what = f"{request.method} {request.url.path} -> {response.status_code}"
        if response.headers.get("Content-Type") == PROBLEM:
            self._check_problem(response, what)
        operation = self.operation_of(request.method, request.url.path)
        if operation is None:
            assert response.status_code in {404, 405}, f"{what}: not an operation of the document"
            return
        documented = operation["responses"].get(str(response.status_code))
        assert documented, f"{what}: the status is not documented"
        missing = [name for name in documented.get("headers", {}) if name not in response.headers]
        assert not missing, f"{what}: lacks the headers {missing}"
        content: Mapping[str, Any] = documented.get("content", {})
        if not content:
            assert response.content == b"", f"{what}: has a body that is not documented"
            return
        media_type = response.headers["Content-Type"]
        assert media_type in content, f"{what}: {media_type} is not documented, only {list(content)}"
        if media_type.endswith("json"):
            self._validate(content[media_type]["schema"], response.json(), what)
        if media_type == PROBLEM:
            kind = response.json()["type"].rpartition("/")[2]
            assert kind in content[PROBLEM]["examples"], f"{what}: the problem {kind} is not documented"

    def _check_problem(self, response: Response, what: str) -> None:
        problem = response.json()
        self._validate(PROBLEM_SCHEMA, problem, what)
        assert problem["status"] == response.status_code, what
        assert problem["request_id"] == response.headers["X-Request-ID"], what
        assert response.headers["Content-Language"] in {"en", "de"}, what

    def _validate(self, schema: dict[str, Any], value: Any, what: str) -> None:
        key = json.dumps(schema, sort_keys=True)
        if key not in self._validators:
            whole = schema | {"components": self.document["components"]}
            self._validators[key] = jsonschema_rs.Draft202012Validator(whole, validate_formats=True)
        error = next(self._validators[key].iter_errors(value), None)
        assert error is None, f"{what}: {error.message} at {error.instance_path}"  # not the value: it may be a secret
