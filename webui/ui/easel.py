"""The easel: a picture, and what a person paints over it.

The browser sends the strokes alone, as a transparent PNG; here they become a mask, or part of the
picture. See ``assets/easel.js``.
"""

import base64
import binascii
import io
from collections.abc import Sequence
from importlib.resources import files
from typing import Final

import gradio as gr
from PIL import Image

from webui.library.inputs import Inputs
from webui.modules.errors import PictureError
from webui.modules.types import InputPicture
from webui.ui.messages import Words
from webui.ui.plumbing import asset

HEAD: Final = "data:image/png;base64,"
"""How the browser begins what is painted."""

HALF: Final = 128
"""From this alpha on a stroke covers what is below it."""

HANDS: Final = (("brush", "eraser"),)
"""What one paints with."""

STEPS: Final = (("undo", "redo", "wipe"), ("zoom-out", "zoom-in", "fit"), ("enlarge",))
"""The easel's other buttons, from left to right, in groups."""


def build_easel(words: Words, *, elem_id: str) -> gr.HTML:
    """Make an easel; its value is the strokes, and an event "clear" says that the picture left."""
    return gr.HTML(
        "",
        html_template=_template(words),
        js_on_load=asset("easel.js"),
        apply_default_css=False,
        elem_id=elem_id,
    )


def strokes_of(value: str | None) -> bytes:
    """Return the strokes as the browser sent them; empty if there are none.

    Raises:
        PictureError: If this is not what the easel sends.
    """
    if not value:
        return b""
    try:
        if not value.startswith(HEAD):
            raise ValueError
        return base64.b64decode(value.removeprefix(HEAD), validate=True)
    except (ValueError, binascii.Error) as error:
        message = "what was painted did not arrive as a PNG"
        raise PictureError(message, hint="Reload the page and paint it again.") from error


def mask_from(strokes: bytes, picture: InputPicture, inputs: Inputs) -> InputPicture:
    """Keep a mask of the picture's size that is white where somebody has painted.

    Raises:
        PictureError: If the strokes cannot be read.
        StorageError: If the mask cannot be written.
    """
    alpha = _layer(strokes, picture, inputs).getchannel("A")
    return inputs.keep_mask(_png(alpha.point([0] * HALF + [255] * HALF)))


def paint_over(strokes: bytes, picture: InputPicture, inputs: Inputs) -> InputPicture:
    """Keep the picture with the strokes on it.

    Raises:
        PictureError: If the strokes cannot be read.
        StorageError: If the picture cannot be written.
    """
    layer = _layer(strokes, picture, inputs)
    with Image.open(picture.path) as below:
        return inputs.keep(_png(Image.alpha_composite(below.convert("RGBA"), layer)))


def _layer(strokes: bytes, picture: InputPicture, inputs: Inputs) -> Image.Image:
    """Return the strokes in the picture's size; large pictures are painted on in a smaller one."""
    kept = inputs.keep(strokes)
    with Image.open(kept.path) as image:
        return image.convert("RGBA").resize((picture.width, picture.height))


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", compress_level=1)
    return buffer.getvalue()


def _template(words: Words) -> str:
    page = (files("webui.ui") / "assets" / "easel.html").read_text("utf-8")
    said = {"HANDS": _tools(HANDS, words), "STEPS": _tools(STEPS, words)}
    for key in ("give", "give_hint", "refused", "remove", "size", "color"):
        said[key.upper()] = words.html(f"easel.{key}")
    for name, text in said.items():
        page = page.replace(f"<!-- {name} -->", text)
    return page


def _tools(groups: Sequence[Sequence[str]], words: Words) -> str:
    return "".join(
        '<div class="group">'
        + "".join(
            f'<button type="button" class="glyph glyph-{tool}" data-tool="{tool}">'
            f"{words.html(f'easel.{tool}')}</button>"
            for tool in group
        )
        + "</div>"
        for group in groups
    )
