"""The pictures of a set as HTML: each with its caption to write in, and what is wrong with any."""

from collections.abc import Sequence
from html import escape
from urllib.parse import quote

from webui.services.training import LookedOver
from webui.services.training_sets import PictureSet, Shown
from webui.ui.messages import Words

MOST_SHOWN = 200
"""So many pictures of a set are shown; all of them are trained on."""


def cards(found: PictureSet, pictures: Sequence[Shown], words: Words) -> str:
    """Return the pictures of a set; captions are kept as soon as they are left."""
    shown = "".join(_card(found.id, picture, words) for picture in pictures[:MOST_SHOWN])
    more = len(pictures) - MOST_SHOWN
    rest = f'<p class="quiet">{words.html("train.more", count=more)}</p>' if more > 0 else ""
    return f'<div class="captions" data-set="{found.id}">{shown}</div>{rest}'


def looked_over(found: LookedOver, words: Words) -> str:
    """Tell counts, sizes and troubles before anything begins."""
    sizes = ", ".join(f"{size.replace('x', ' × ')}: {count}" for size, count in found.sizes.items())
    said = words.html("train.counts", count=found.count, captions=found.captions)
    troubles = "".join(
        f'<li class="{"out" if trouble.left_out else ""}">{escape(trouble.text)}</li>'
        for trouble in found.troubles[:20]
    )
    listed = f"<ul>{troubles}</ul>" if troubles else ""
    return f'<div class="over"><p>{said}</p><p class="quiet">{escape(sizes)}</p>{listed}</div>'


def _card(set_id: str, picture: Shown, words: Words) -> str:
    url = f"atelier/v1/training/sets/{set_id}/picture?name={quote(picture.name)}"
    unwritten = "" if picture.written else " unwritten"
    return (
        f'<figure class="pic{unwritten}" data-picture="{escape(picture.name)}">'
        f'<img loading="lazy" src="{url}" alt="{escape(picture.name)}">'
        f'<figcaption><textarea rows="2" spellcheck="false" aria-label="{escape(picture.name)}">'
        f"{escape(picture.caption)}</textarea>"
        f"<small>{escape(picture.name)} · {picture.width} × {picture.height}</small>"
        f'<button type="button" data-remove="{escape(picture.name)}" title="×">×</button>'
        "</figcaption></figure>"
    )
