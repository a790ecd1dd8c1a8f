"""Explanations as HTML: bars, words and pictures, and what they mean. All names are escaped."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from typing import Any, Final

from webui.modules.types import ModelKind
from webui.ui.messages import Words, notice

Told = Mapping[str, Any]
"""An explanation as the job has brought it."""

Bar = tuple[str, float, str]
"""What a bar stands for (HTML), its length beside the longest, and the number as people read it."""

_THOUSAND: Final = 1000
_UNITS: Final = ("", "k", "M", "G")


def explanation(told: Told, words: Words) -> str:
    """Return an explanation of any kind: what it means, its plots, and notes."""
    shown = _SHOWN[ModelKind(told["kind"])](told, words)
    notes = "".join(notice(escape(str(note))) for note in told["notes"])
    meaning = words.html(f"explain.{told['kind']}_means")
    return f'<div class="explained"><p>{meaning}</p>{shown}{notes}</div>'


def bars(rows: Sequence[Bar], *, most: float = 0.0) -> str:
    """Return bars one below the other.

    Args:
        rows: The bars.
        most: What the whole width stands for; 0 for the longest bar.
    """
    whole = most or max(0.0, 0.0, *(value for _, value, _ in rows)) or 1.0
    return '<div class="bars">' + "".join(
        f'<span class="what">{name}</span><span class="lane"><i style="width:'
        f'{min(100.0, max(0.0, 100 * value / whole)):.1f}%"></i></span><b>{text}</b>'
        for name, value, text in rows
    ) + "</div>"  # fmt: skip


def counted(number: float) -> str:
    """Return a large number as people say it, such as 1.2 M."""
    unit = 0
    while number >= _THOUSAND and unit < len(_UNITS) - 1:
        number, unit = number / _THOUSAND, unit + 1
    return f"{number:.3g} {_UNITS[unit]}".strip()


def picture_of(name: str) -> str:
    """Return where a picture of an explanation is served."""
    return f"atelier/v1/explained/{escape(name, quote=True)}"


def figures(pictures: Iterable[tuple[str, str]]) -> str:
    """Return pictures with what they show (HTML), side by side."""
    return '<div class="turn">' + "".join(
        f'<figure><img src="{source}" alt=""><figcaption>{said}</figcaption></figure>'
        for source, said in pictures
    ) + "</div>"  # fmt: skip


def _head(key: str, words: Words, **values: object) -> str:
    return f"<h3>{words.html(key, **values)}</h3>"


def small_share(value: float) -> str:
    """Return a share with two digits that count, such as 0.0015%."""
    return f"{100 * value:.2g}%"


def _embedding(told: Told, words: Words) -> str:
    usual = told["vocabulary_norm"]
    shown = ""
    for number, vector in enumerate(told["vectors"], start=1):
        near = [
            (f"<code>{escape(each['word'])}</code>", each["cosine"], f"{each['cosine']:.2f}")
            for each in vector["nearest"]
        ]
        shown += _head("explain.vector", words, number=number) + bars(near, most=1.0)
        rows = [(words.html("explain.norm"), vector["norm"], f"{vector['norm']:.3g}")]
        if usual:
            rows.append((words.html("explain.usual_norm"), usual, f"{usual:.3g}"))
        shown += bars(rows)
    return shown


def _lora(told: Told, words: Words) -> str:
    relative = any(block["relative"] is not None for block in told["blocks"])
    key = "relative" if relative else "change"
    sizes = [
        (block["block"], size, small_share(size) if relative else f"{size:.3g}")
        for block in told["blocks"]
        for size in [block[key] or 0.0]
    ]
    ranks = [(block["block"], block["rank"], f"{block['rank']:.1f}") for block in told["blocks"]]
    methods = ", ".join(escape(name) for name in told["methods"])
    facts = words.html(
        "explain.lora_facts",
        methods=methods,
        layers=told["layers"],
        numbers=counted(told["parameters"]),
    )
    return (
        f'<p class="quiet">{facts}</p>{_head(f"explain.{key}", words)}{bars(sizes)}'
        f"{_head('explain.rank', words)}{bars(ranks)}"
    )


def _hypernetwork(told: Told, words: Words) -> str:
    shown = ""
    for each in told["widths"]:
        layers = " → ".join(f"{factor:g}" for factor in each["layers"])
        norm = f", {words.html('explain.layer_norm')}" if each["norm"] else ""
        read = words.html(f"explain.read_{each['read']}")
        rows = [
            (words.html(f"explain.{which}"), each[which], small_share(each[which]))
            for which in ("keys", "values")
        ]
        shown += (
            f"{_head('explain.width', words, width=each['width'])}{bars(rows)}"
            f'<p class="quiet">{layers}, {escape(each["activation"])}{norm} · {read}</p>'
        )
    return shown


def _vae(told: Told, words: Words) -> str:
    shown = figures([(picture_of(told["picture"]), words.html("explain.put_in"))])
    for result in told["results"]:
        psnr = "∞" if result["psnr"] is None else f"{result['psnr']:.1f}"
        said = words.html("explain.lost", mean=f"{result['mean']:.1f}", psnr=psnr)
        shown += f"<h3>{escape(result['name'])}</h3>" + figures(
            [
                (picture_of(result["result"]), said),
                (
                    picture_of(result["error"]),
                    words.html("explain.error_picture", times=f"{told['amplified']:g}"),
                ),
            ]
        )
    return shown


def _checkpoint(told: Told, words: Words) -> str:
    parts = [
        (words.html(f"explain.part_{part}"), each["numbers"], counted(each["numbers"]))
        for part, each in told["parts"].items()
        if each["tensors"]
    ]
    formats = ", ".join(
        f"{escape(name)} {counted(number)}" for name, number in told["precision"].items()
    )
    shown = f'{bars(parts)}<p class="quiet">{formats}</p>'
    if not told["resembles"]:
        return shown + f'<p class="quiet">{words.html("explain.no_other")}</p>'
    rows = [
        (escape(each["name"]), each["cosine"], f"{each['cosine']:.4f}")
        for each in told["resembles"]
    ]
    first = told["resembles"][0]
    blocks = [
        (block, cosine, f"{cosine:.4f}")
        for block, cosine in zip(told["blocks"], first["blocks"], strict=True)
        if cosine is not None
    ]
    near = _head("explain.block_by_block", words, name=first["name"])
    alike = _head("explain.resembles", words) + bars(rows, most=1)
    return f"{shown}{alike}{near}{bars(blocks, most=1)}"


def _aesthetic(told: Told, words: Words) -> str:
    rows = [
        (escape(each["text"]), each["similarity"], f"{each['similarity']:.3f}")
        for each in told["prompts"]
    ]
    norm = words.html("explain.norm")
    return f'{bars(rows)}<p class="quiet">{norm}: {told["norm"]:.3g} ({told["width"]})</p>'


_SHOWN: Final[Mapping[ModelKind, Callable[[Told, Words], str]]] = {
    ModelKind.CHECKPOINT: _checkpoint,
    ModelKind.EMBEDDING: _embedding,
    ModelKind.LORA: _lora,
    ModelKind.HYPERNETWORK: _hypernetwork,
    ModelKind.VAE: _vae,
    ModelKind.AESTHETIC: _aesthetic,
}
