"""Extensions over HTTP: which there are, what can be set, and which are switched off and why."""

from dataclasses import asdict
from typing import Any

from fastapi import APIRouter

from webui.api.strict_json import StrictRoute
from webui.api.visit import TheStudio
from webui.hooks.host import Extension
from webui.hooks.spec import Setting

routes = APIRouter(prefix="/atelier/v1", route_class=StrictRoute, tags=["Atelier"])


@routes.get("/extensions")
def extensions(studio: TheStudio) -> list[dict[str, Any]]:
    """List all extensions; ``settings`` is what the field ``extensions`` of a job may say."""
    loaded = {extension.name: extension for extension in studio.extensions.loaded()}
    return [
        {**asdict(view), "settings": _settings(loaded.get(view.name))}
        for view in studio.extensions.views()
    ]


def _settings(extension: Extension | None) -> list[dict[str, Any]]:
    if extension is None or extension.section is None:
        return []
    return [_setting(setting) for setting in extension.section.settings]


def _setting(setting: Setting) -> dict[str, Any]:
    low, high, _ = setting.bounds or (None, None, None)
    return {
        "name": setting.name,
        "label": setting.label["en"],
        "default": setting.value,
        "minimum": low,
        "maximum": high,
        "file": setting.kind,
        "infotext": setting.key,
    }
