"""Valid and invalid requests generated from ``openapi.json``: every answer must be one that it describes."""

from __future__ import annotations

import asyncio
import http.client
import json
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

import bot.http.page
from tests.soak.harness import QUICK_WORKER, SoakResult, bot_and_workers
from tests.support.stage import stage

SPEC: dict[str, Any] = json.loads((Path(bot.http.page.__file__).parent / "openapi.json").read_text("utf-8"))
SCHEMAS = SPEC["components"]["schemas"]
TEXTS = st.sampled_from(
    ("春风十里", "老夫聊发少年狂", "床前明月光", "春", "七阳", "七绝", "auto", "欲穷千里目", "", "hello", "\ud800")
)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
Asked = tuple[str, str, str, bytes | None]
"""Method, path of the description, path, body."""


def valid(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Values that ``schema`` allows; strings include those that make up valid poems."""
    if "$ref" in schema:
        return valid(SCHEMAS[schema["$ref"].rpartition("/")[2]])
    if "const" in schema:
        return st.just(schema["const"])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    return st.one_of([_of_kind(kind, schema) for kind in kinds])


def _of_kind(kind: str, schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    if kind == "null":
        return st.none()
    if kind == "integer":
        return st.integers(schema.get("minimum"), schema.get("maximum"))
    if kind == "array":
        return st.lists(valid(schema["items"]), min_size=schema.get("minItems", 0), max_size=4)
    if kind == "object":
        needed, known = set(schema["required"]), schema["properties"]
        return st.fixed_dictionaries(
            {name: valid(known[name]) for name in known if name in needed},
            optional={name: valid(known[name]) for name in known if name not in needed},
        )
    if "examples" in schema:
        return st.sampled_from(schema["examples"]) | st.sampled_from(schema["examples"]) | TEXTS
    return TEXTS | TEXTS | st.text(min_size=schema.get("minLength", 0), max_size=40)


@st.composite
def bodies(draw: st.DrawFn, schema: dict[str, Any]) -> bytes:
    """Two thirds are valid; the others lack, add or change a field, or are not such JSON at all."""
    value, kind = draw(valid(schema)), draw(st.integers(0, 8))
    if kind == 0:
        return draw(st.binary(max_size=60))
    if kind == 1:
        return json.dumps(draw(ANYTHING)).encode()
    if kind == 2:
        value = {**value, draw(st.sampled_from(sorted(schema["properties"])) | st.text(max_size=9)): draw(ANYTHING)}
        value.pop(draw(st.sampled_from(sorted(value))), None) if draw(st.booleans()) else None
    return json.dumps(value).encode(draw(st.sampled_from(("utf-8", "utf-8", "utf-8", "utf-16"))))


@st.composite
def requests(draw: st.DrawFn) -> Asked:
    path = draw(st.sampled_from([*SPEC["paths"], "/api/poems", "/api/poems"]))
    [(method, told)] = SPEC["paths"][path].items()
    body, query, url = None, {}, path
    if "requestBody" in told:
        name = told["requestBody"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
        body = draw(bodies(SCHEMAS[name]))
    for parameter in told.get("parameters", []):
        value = str(draw(valid(parameter["schema"]) | st.text(max_size=9))).encode("utf-8", "replace")
        if parameter["in"] == "path":
            url = path.replace("{id}", quote(value, safe="") or "0")
        else:
            query[parameter["name"]] = value
    return method.upper(), path, f"{url}?{urlencode(query)}" if query else url, body


def check(url: str, asked: Asked) -> int:
    """Returns the status. AssertionError: the description does not have this answer, or forbids a request that was
    served."""
    method, path, target, body = asked
    place = urlsplit(url)
    connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=60)
    try:
        connection.request(method, target, body)
        answer = connection.getresponse()
        content = answer.read()
    finally:
        connection.close()
    told = SPEC["paths"][path][method.lower()]
    listed = told["responses"]
    assert str(answer.status) in listed or (answer.status in (404, 405) and "default" in listed), (asked, answer.status)
    [(kind, form)] = listed.get(str(answer.status), listed.get("default"))["content"].items()
    assert answer.headers.get_content_type() == kind, asked
    if "schema" in form:
        Draft202012Validator({**form["schema"], "components": SPEC["components"]}).validate(json.loads(content))
    if answer.status == 200 and body is not None:
        schema = told["requestBody"]["content"]["application/json"]["schema"]
        Draft202012Validator({**schema, "components": SPEC["components"]}).validate(json.loads(body.decode("utf-8")))
    return answer.status


def fuzz(url: str, count: int) -> Counter[int]:
    """Send so many requests, the same in every run; returns how often each status was answered."""
    statuses: Counter[int] = Counter()

    @settings(
        max_examples=count, database=None, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
    )
    @given(requests())
    def holds(asked: Asked) -> None:
        statuses[check(url, asked)] += 1

    holds()
    return statuses


async def fuzzed(count: int = 5000, worker: tuple[str, ...] = QUICK_WORKER, **environ: str) -> SoakResult:
    async with stage(**environ) as here, bot_and_workers(here, worker):
        await here.ready()
        statuses = await asyncio.to_thread(fuzz, here.url, count)
        named = {f"status_{status}": float(number) for status, number in sorted(statuses.items())}
        return SoakResult("requests made from openapi.json", count, statuses.total(), 0, 0, named)
