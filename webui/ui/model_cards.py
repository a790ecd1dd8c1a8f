"""Fragments of HTML that show model files. Everything from files and strangers is escaped."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from html import escape
from typing import Final
from urllib.parse import quote

from webui.library.cards import ModelCard
from webui.modules.layers.fit import Fit
from webui.modules.types import ModelKind
from webui.services.catalogue import Hashes, has_picture
from webui.ui.messages import Words

KINDS: Final = {
    ModelKind.CHECKPOINT: "models.checkpoint",
    ModelKind.LORA: "models.lora",
    ModelKind.EMBEDDING: "models.embedding",
    ModelKind.HYPERNETWORK: "models.hypernetwork",
    ModelKind.VAE: "models.vae",
    ModelKind.AESTHETIC: "models.aesthetic",
    ModelKind.UPSCALER: "models.upscaler",
}
"""The kinds in the order of the page, with the keys of their names."""

SHOWN_CURES: Final = 3
"""How many fitting checkpoints are named."""

_LONG: Final = 2000
_UNITS: Final = ("B", "kB", "MB", "GB", "TB")
_THOUSAND: Final = 1000


def tiles(cards: Sequence[ModelCard], fits: Sequence[Fit | None], words: Words) -> str:
    """Return a page of cards; ``fits`` says of each how much of it acts."""
    shown = "".join(_tile(card, fit, words) for card, fit in zip(cards, fits, strict=True))
    return f'<div class="shelf">{shown}</div>'


def identifier(card: ModelCard) -> str:
    """Return by what a card is chosen: its kind and its name."""
    return f"{card.record.kind.value}/{card.record.name}"


def details(
    card: ModelCard, fit: Fit | None, words: Words, *, cures: Sequence[str], call: str
) -> str:
    """Return all about one file that needs no reading of it.

    Args:
        card: The file.
        fit: How much of it acts on the checkpoint in use.
        words: The texts of the page.
        cures: Checkpoints on which all of it acts.
        call: How a prompt calls it; empty if no prompt does.
    """
    record = card.record
    rows = {
        "models.kind": words.html(KINDS[record.kind]),
        "models.family": escape(record.family),
        "models.base": escape(card.base),
        "models.call": f"<code>{escape(call)}</code>" if call else "",
        "models.trigger": escape(card.trigger_words),
        "models.size": _size(card.size) if not record.path.is_dir() else "",
        "models.date": _date(card.changed),
        "models.file": escape(record.name),
        "models.description": f'<div class="said">{escape(card.description)}</div>'
        if card.description
        else "",
    }
    table = "".join(
        f"<tr><th>{words.html(key)}</th><td>{value}</td></tr>"
        for key, value in rows.items()
        if value
    )
    given = f'<p class="quiet">{escape(card.given_title)}</p>' if card.given_title else ""
    return (
        f'<div class="about" data-kind="{record.kind.value}">{_cover(card)}'
        f"<div><h2>{escape(record.stem)}</h2>{given}{_verdict(card, fit, words, cures)}</div></div>"
        f'<table class="items">{table}</table>'
    )


def metadata_table(metadata: Mapping[str, str], words: Words) -> str:
    """Return what a file says of itself, folded away."""
    if not metadata:
        return ""
    rows = "".join(
        f"<tr><th>{escape(key[:200])}</th><td>{escape(_cut(value))}</td></tr>"
        for key, value in sorted(metadata.items())
    )
    return (
        f'<details class="metadata"><summary>{words.html("models.metadata")}</summary>'
        f'<table class="items">{rows}</table></details>'
    )


def hash_table(hashes: Hashes) -> str:
    """Return the names under which a download site knows the file."""
    rows = {
        "SHA-256": hashes.sha256,
        "AutoV1": hashes.autov1,
        "AutoV2": hashes.autov2.upper(),
        "AutoV3": hashes.autov3.upper(),
    }
    lines = "".join(
        f"<tr><th>{name}</th><td><code>{escape(value)}</code></td></tr>"
        for name, value in rows.items()
        if value
    )
    return f'<table class="items">{lines}</table>'


def nothing(key: str, words: Words, **values: object) -> str:
    """Return what stands where there are no cards."""
    return (
        f'<div class="stage invitation"><h2>{words.html(key, **values)}</h2>'
        f"<p>{words.html(f'{key}_hint')}</p></div>"
    )


def _tile(card: ModelCard, fit: Fit | None, words: Words) -> str:
    record = card.record
    family = record.family or card.base
    facts = " · ".join(
        part for part in (words.html(KINDS[record.kind]), escape(family), _size(card.size)) if part
    )
    trigger = escape(card.trigger_words[:120])
    return (
        f'<button class="card" type="button" data-open="{escape(identifier(card), quote=True)}"'
        f' data-kind="{record.kind.value}" title="{escape(record.name, quote=True)}">'
        f"{_cover(card)}{_badge(card, fit, words)}"
        f'<span class="name">{escape(record.stem)}</span><span class="made">{facts}</span>'
        f'<span class="trigger">{trigger}</span></button>'
    )


def _cover(card: ModelCard) -> str:
    record = card.record
    picture = ""
    if has_picture(card):
        asked = f"kind={record.kind.value}&name={quote(record.name, safe='')}&v={card.changed}"
        address = escape(f"atelier/v1/models/preview?{asked}", quote=True)
        picture = f'<img src="{address}" loading="lazy" alt="">'
    initial = escape((record.stem.strip("_- ") or "?")[0].upper())
    return f'<span class="cover" data-initial="{initial}">{picture}</span>'


def _badge(card: ModelCard, fit: Fit | None, words: Words) -> str:
    if card.problem:
        return f'<span class="badge refused">{words.html("models.refused")}</span>'
    if fit is None:
        return ""
    if fit.share == 1:
        return f'<span class="badge fits">{words.html("models.fits")}</span>'
    kind = "partly" if fit.used else "unfit"
    said = words.html(f"models.{kind}", share=f"{fit.share:.0%}")
    return f'<span class="badge {kind}">{said}</span>'


def _verdict(card: ModelCard, fit: Fit | None, words: Words, cures: Sequence[str]) -> str:
    """Return the badge with the reason and the cure."""
    badge = _badge(card, fit, words)
    if card.problem:
        said = escape(f"{card.problem.message}. {card.problem.hint}")
        return f'<div class="verdict">{badge}<p>{said}</p></div>'
    if fit is None or fit.share == 1:
        return f'<div class="verdict">{badge}</div>' if badge else ""
    cure = (
        words.html("models.cure", names=", ".join(cures[:SHOWN_CURES]))
        if cures
        else words.html("models.no_cure")
    )
    why = words.html("models.why", why=fit.why) if fit.why else ""
    return f'<div class="verdict">{badge}<p>{why} {cure}</p></div>'


def _size(size: int) -> str:
    value, unit = float(size), 0
    while value >= _THOUSAND and unit < len(_UNITS) - 1:
        value, unit = value / _THOUSAND, unit + 1
    return f"{value:.3g} {_UNITS[unit]}" if unit else f"{size} B"


def _date(changed: int) -> str:
    return datetime.fromtimestamp(changed / 1e9, UTC).strftime("%Y-%m-%d") if changed else ""


def _cut(text: str) -> str:
    return text if len(text) <= _LONG else f"{text[:_LONG]} …"
