"""The page ``/docs``: every route with its fields, as plain HTML that loads nothing."""

import json
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any, Final

POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'"
"""What this page may load: nothing but its own style."""

_STYLE: Final = """
:root { color-scheme: light dark; font-family: system-ui, sans-serif; line-height: 1.5; }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
summary { cursor: pointer; padding: .5rem 0; border-top: 1px solid #8884; }
code { font-size: .95em; }
.method { display: inline-block; width: 4.5rem; font-weight: 600; color: #4f46e5; }
.says { opacity: .8; }
table { border-collapse: collapse; margin: .5rem 0 1rem; width: 100%; }
td, th { text-align: left; padding: .2rem .8rem .2rem 0; vertical-align: top; }
"""


def render(openapi: Mapping[str, Any]) -> str:
    """Return the page for an OpenAPI description."""
    title = escape(str(openapi["info"]["title"]))
    routes = "\n".join(_routes(openapi))
    return f"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{title}: HTTP routes</title>
<style>{_STYLE}</style>
<h1>{title}: HTTP routes</h1>
<p>The same for programs: <a href="/openapi.json">openapi.json</a>. Errors are JSON with
<code>error</code>, <code>detail</code>, <code>errors</code> and <code>hint</code>.</p>
{routes}
"""


def _routes(openapi: Mapping[str, Any]) -> Iterator[str]:
    for path, methods in openapi["paths"].items():
        for method, operation in methods.items():
            told = escape(operation.get("description", operation.get("summary", "")))
            yield (
                f'<details><summary><span class="method">{method.upper()}</span>'
                f'<code>{escape(path)}</code> <span class="says">{told.split(chr(10))[0]}</span>'
                f"</summary><p>{told}</p>{_fields(operation, openapi)}</details>"
            )


def _fields(operation: Mapping[str, Any], openapi: Mapping[str, Any]) -> str:
    rows = [
        _row(field["name"], field["schema"], place=field["in"])
        for field in operation.get("parameters", [])
    ]
    content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    schema = _resolved(content.get("schema", {}), openapi)
    rows += [_row(name, field, place="body") for name, field in _properties(schema)]
    if not rows:
        return ""
    head = "<tr><th>Field<th>In<th>Type<th>Default</tr>"
    return f"<table>{head}{''.join(rows)}</table>"


def _properties(schema: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    yield from schema.get("properties", {}).items()


def _resolved(schema: Mapping[str, Any], openapi: Mapping[str, Any]) -> Mapping[str, Any]:
    name = str(schema.get("$ref", "")).rpartition("/")[2]
    return openapi["components"]["schemas"][name] if name else schema


def _row(name: str, schema: Mapping[str, Any], *, place: str) -> str:
    kinds = [part.get("type", "") for part in schema.get("anyOf", [schema])]
    kind = " or ".join(kind for kind in kinds if kind) or "any"
    default = json.dumps(schema["default"]) if "default" in schema else ""
    cells = (f"<code>{escape(name)}</code>", place, escape(kind), f"<code>{escape(default)}</code>")
    return f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"
