"""Every point of extension is in the docs, and something that comes with the program uses it."""

import inspect
from importlib import import_module
from pathlib import Path
from typing import Final

import pytest

from webui.hooks import spec
from webui.hooks.host import collected, worker_hooks
from webui.services.options import defaults

ROOT: Final = Path(__file__).parents[2]
DOCS: Final = (ROOT / "docs" / "extensions.md").read_text(encoding="utf-8")

POINTS: Final = [
    *((spec.ServerHooks, name) for name in spec.SERVER_POINTS),
    *((spec.WorkerHooks, name) for name in spec.WORKER_POINTS),
]
BUILT_IN: Final = [extension for extension in collected() if extension.built_in]


@pytest.mark.parametrize(("hooks", "listed"), [
    (spec.ServerHooks, spec.SERVER_POINTS),
    (spec.WorkerHooks, spec.WORKER_POINTS),
])  # fmt: skip
def test_the_list_of_points_is_whole(hooks: type, listed: tuple[str, ...]) -> None:
    written = [name for name, _ in inspect.getmembers(hooks, inspect.isfunction)]

    assert {name for name in written if not name.startswith("_")} == set(listed)


@pytest.mark.parametrize(("hooks", "name"), POINTS, ids=str)
def test_every_point_is_documented_with_its_arguments(hooks: type, name: str) -> None:
    arguments = list(inspect.signature(getattr(hooks, name)).parameters)[1:]

    assert f"`{name}({', '.join(arguments)})`" in DOCS
    assert inspect.getdoc(getattr(hooks, name))


@pytest.mark.parametrize(("hooks", "name"), POINTS, ids=str)
def test_every_point_is_used_by_a_built_in_extension(hooks: type, name: str) -> None:
    on_server = hooks is spec.ServerHooks
    parts = [
        import_module(extension.module) if on_server else worker_hooks(extension)
        for extension in BUILT_IN
    ]

    assert any(hasattr(part, name) for part in parts)


def test_every_setting_of_a_built_in_extension_is_documented() -> None:
    said = [
        (setting.name, setting.key)
        for extension in BUILT_IN
        if extension.section
        for setting in extension.section.settings
    ]

    assert said
    assert [pair for pair in said if f"`{pair[0]}`" not in DOCS or pair[1] not in DOCS] == []


def test_the_page_names_the_version_the_group_and_the_options_that_hold() -> None:
    assert f"`API = {spec.API}`" in DOCS
    assert spec.GROUP in DOCS
    assert {"disabled_extensions", "disable_all_extensions"} <= set(defaults())
