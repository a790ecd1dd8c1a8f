"""Receipts: whether a picture that was drawn again is the same, and if not, what explains it."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from webui.library import infotext
from webui.library.compare import Comparison
from webui.library.infotext_extensions import extension_keys
from webui.library.infotext_keys import ASSUMED, KNOWN_KEYS
from webui.modules.types import GenerationPlan
from webui.services.keeping import PROGRAM

ROUNDING: Final = 1
"""Of 255: so much may come from the order in which a processor adds."""

MOST_REASONS: Final = 20

_OWN_SENTENCES: Final = frozenset(
    {"Version", "User", "Model", "Model hash", "VAE", "VAE hash", "Prompt", "Negative prompt"}
)
_TELLING: Final = ("left out", "not found", "partly", "asked again")
"""What notes say that explain a difference."""

_A1111: Final = re.compile(r"v?1\.\d+")
_LONGEST: Final = 120

SENTENCES: Final[Mapping[str, str]] = {
    "model": "The checkpoint {there} is not here; {here} was used instead.",
    "vae": "The VAE {there} is not here; {here} was used instead.",
    "setting": "{name} is {there} in the text and {here} here.",
    "unknown": "{name} is not known here and was left out: {there}.",
    "prompt": "The {name} was read otherwise: {here}.",
    "program": "Another program or release drew it: {there}.",
    "start": "It was drawn from another picture, which no settings text holds.",
    "noise": "Its noise came from a graphics card (RNG: GPU), whose numbers no CPU draws.",
    "lossy": "The original is a {there} file, whose pixels are not those that were drawn.",
    "size": "The sizes differ: the original has {there} pixels, this one {here}.",
    "precision": "This server computes with precision {here}; A1111's arithmetic is exact.",
    "note": "{here}",
}
"""What each kind of reason says; the page has the same in its own words."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Reason:
    """One thing that explains a difference.

    Attributes:
        kind: Which of ``SENTENCES``.
        name: The setting it is about.
        there: What the original has.
        here: What was used instead.
    """

    kind: str
    name: str = ""
    there: str = ""
    here: str = ""

    @property
    def sentence(self) -> str:
        """The reason in English."""
        return SENTENCES[self.kind].format(name=self.name, there=self.there, here=self.here)


@dataclass(frozen=True, kw_only=True, slots=True)
class Receipt:
    """What came out of drawing a picture again.

    Attributes:
        verdict: "waiting", "failed", "drawn" (nothing to compare with), "identical",
            "within rounding" or "different".
        furthest: Largest difference of 255; None if nothing was compared.
        share: Share of the pixels that differ; None if nothing was compared.
        reasons: What explains a difference; empty for an identical picture.
    """

    verdict: str
    furthest: int | None = None
    share: float | None = None
    reasons: tuple[Reason, ...] = ()

    @property
    def sentence(self) -> str:
        """The verdict in English."""
        if self.verdict == "within rounding":
            return f"within rounding (max {self.furthest} of 255)"
        if self.verdict == "different" and self.furthest is not None:
            return f"different (max {self.furthest} of 255)"
        return self.verdict


@dataclass(frozen=True, kw_only=True, slots=True)
class Drawn:
    """What a receipt is written about.

    Attributes:
        text: The settings text of the original.
        plan: What was drawn from it.
        comparison: How far the pictures are apart; None without an original.
        sizes: Width and height of the original and of what was drawn, as people write them.
        lossy: Format of the original if it changes pixels, else empty.
        notes: What the person was told while it was drawn.
        precision: How this server computes.
        on_card: Whether a graphics card draws here.
    """

    text: str
    plan: GenerationPlan
    comparison: Comparison | None = None
    sizes: tuple[str, str] = ("", "")
    lossy: str = ""
    notes: tuple[str, ...] = ()
    precision: str = "exact"
    on_card: bool = False


def receipt_of(drawn: Drawn) -> Receipt:
    """Return the verdict on a picture and, unless it is identical, what explains it."""
    found = drawn.comparison
    if found and found.same_size and found.furthest == 0:
        return Receipt(verdict="identical", furthest=0, share=0.0)
    reasons = tuple(dict.fromkeys(_reasons(drawn)))[:MOST_REASONS]
    if found is None:
        return Receipt(verdict="drawn", reasons=reasons)
    if not found.same_size:
        return Receipt(verdict="different", reasons=reasons)
    close = found.furthest <= ROUNDING
    return Receipt(
        verdict="within rounding" if close else "different",
        furthest=found.furthest,
        share=found.share,
        reasons=() if close else reasons,
    )


def _reasons(drawn: Drawn) -> Iterator[Reason]:
    there = infotext.parse(drawn.text)
    here = infotext.parse(infotext.write(drawn.plan, 0, version=PROGRAM))
    if drawn.comparison and not drawn.comparison.same_size:
        yield Reason(kind="size", there=drawn.sizes[0], here=drawn.sizes[1])
    yield from _models(there, here)
    if "start" in infotext.request_fields(there) and drawn.plan.start is None:
        yield Reason(kind="start")
    yield from _settings(there, here)
    for note in dict.fromkeys((*drawn.plan.notes, *drawn.notes)):
        if any(said in note for said in _TELLING):
            yield Reason(kind="note", here=note)
    yield from _circumstances(drawn, there)


def _models(there: infotext.Parsed, here: infotext.Parsed) -> Iterator[Reason]:
    for kind, key in (("model", "Model"), ("vae", "VAE")):
        names = (_titled(there, key), _titled(here, key))
        marks = (str(there.get(f"{key} hash", "")), str(here.get(f"{key} hash", "")))
        by_hash = all(marks) and len(marks[0]) == len(marks[1])
        if (marks[0] != marks[1]) if by_hash else (there.get(key) != here.get(key)):
            yield Reason(kind=kind, there=names[0] or "of the original", here=names[1] or "its own")


def _titled(parsed: infotext.Parsed, key: str) -> str:
    name, mark = parsed.get(key, ""), parsed.get(f"{key} hash", "")
    return _cut(f"{name} [{mark}]" if mark else str(name))


def _settings(there: infotext.Parsed, here: infotext.Parsed) -> Iterator[Reason]:
    for key in ("Prompt", "Negative prompt"):
        if str(there[key]).split() != str(here[key]).split():
            yield Reason(kind="prompt", name=key.lower(), here=_cut(str(here[key])))
    for key, value in there.items():
        if key in _OWN_SENTENCES or _same(value, here.get(key, ASSUMED.get(key, ""))):
            continue
        if key in KNOWN_KEYS or key in extension_keys():
            told = "left out" if key not in here else _cut(str(here[key]))
            yield Reason(kind="setting", name=key, there=_cut(str(value)), here=told)
        else:
            yield Reason(kind="unknown", name=_cut(key), there=_cut(str(value)))


def _same(there: object, here: object) -> bool:
    if str(there) == str(here):
        return True
    try:
        return float(str(there)) == float(str(here))
    except ValueError:
        return False


def _circumstances(drawn: Drawn, there: infotext.Parsed) -> Iterator[Reason]:
    version = str(there.get("Version", ""))
    if version and not _A1111.match(version) and version != PROGRAM:
        yield Reason(kind="program", there=_cut(version))
    if there.get("RNG") == "GPU" and not drawn.on_card:
        yield Reason(kind="noise")
    if drawn.lossy:
        yield Reason(kind="lossy", there=drawn.lossy)
    if drawn.precision != "exact":
        yield Reason(kind="precision", here=drawn.precision)


def _cut(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 3]}..."
