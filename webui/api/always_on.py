"""Scripts that run beside everything: an extension under A1111's title, with its arguments."""

from collections.abc import Iterable, Mapping
from typing import Any, Final, cast

from webui.api.script_args import Argument, Script, completed, described_as
from webui.hooks.host import Extension, collected
from webui.hooks.spec import NOTHING, Section, Setting
from webui.modules.errors import RangeError, UnsupportedError

SOFT: Final = "soft inpainting"
"""A1111's built-in script, which ``a1111_img2img`` reads itself."""

Scripts = Mapping[str, Any]


def extensions_asked(
    scripts: Scripts, extensions: Iterable[Extension] | None = None
) -> dict[str, dict[str, Any]]:
    """Return the field ``extensions`` of a request that ``alwayson_scripts`` asks for.

    Args:
        scripts: By title, each with its ``args`` by position.
        extensions: Those of this installation, unless others are meant.

    Raises:
        UnsupportedError: If there is no such script here.
        RangeError: If an argument is not of its type.
    """
    known = {
        extension.section.script.casefold(): extension
        for extension in _given(extensions)
        if extension.section and extension.section.script
    }
    found: dict[str, dict[str, Any]] = {}
    for title, given in scripts.items():
        extension = known.get(title.strip().casefold())
        if extension is None or extension.section is None:
            offered = ", ".join(each.section.script for each in known.values() if each.section)
            message = f"alwayson_scripts asks for {title[:80]!r}, which is not here"
            hint = f"Leave it out; there are: {offered or 'none'}."
            raise UnsupportedError(message, hint=hint, value=title[:80])
        settings = _settings(extension.section, _arguments(title, given))
        if settings.get(extension.section.switch) not in NOTHING:
            found[extension.name] = settings
    return found


def described(extensions: Iterable[Extension] | None = None) -> list[dict[str, Any]]:
    """Return these scripts with their arguments, as ``GET script-info`` answers."""
    return [
        {**described_as(_script(extension.section), way), "is_alwayson": True}
        for way in ("txt2img", "img2img")
        for extension in _given(extensions)
        if extension.section and extension.section.script
    ]


def titles(extensions: Iterable[Extension] | None = None) -> list[str]:
    """Return the titles in small letters, as A1111 lists them."""
    return [each["name"] for each in described(extensions) if not each["is_img2img"]]


def _given(extensions: Iterable[Extension] | None) -> list[Extension]:
    return list(collected() if extensions is None else extensions)


def _arguments(title: str, given: Any) -> list[Any]:
    """Return the arguments of ``{"args": [...]}``.

    Raises:
        RangeError: If there is something else.
    """
    fields = cast("dict[str, Any]", given) if isinstance(given, dict) else {"args": given}
    arguments = fields.get("args", [])
    if isinstance(arguments, list):
        return cast("list[Any]", arguments)
    message = f"the args of {title[:80]} are {str(arguments)[:80]!r}"
    raise RangeError(message, hint="They are a list.", value=title[:80])


def _settings(section: Section, arguments: list[Any]) -> dict[str, Any]:
    values = completed(_script(section), arguments)
    return dict(zip(section.arguments, values, strict=True))


def _script(section: Section) -> Script:
    known = {setting.name: setting for setting in section.settings}
    return Script(
        title=section.script,
        ways=("txt2img", "img2img"),
        arguments=[_argument(known[name]) for name in section.arguments],
    )


def _argument(setting: Setting) -> Argument:
    label = setting.label["en"]
    return Argument(label=label, value=setting.value, bounds=setting.bounds)
