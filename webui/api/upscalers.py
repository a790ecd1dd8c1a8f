"""How pictures can be enlarged, as A1111's routes list it."""

from collections.abc import Sequence
from typing import Any, Final

from webui.library.cards import ModelCard
from webui.services.models import LATENT_WAYS, PLAIN_WAYS

USUAL_SCALE: Final = 4
"""What A1111 says of an upscaler that can do any factor."""


def upscaler_list(cards: Sequence[tuple[ModelCard, str]]) -> list[dict[str, Any]]:
    """Return the plain ways and the networks.

    Args:
        cards: The sound files and the paths to show of them.
    """
    plain = [_entry(name, model=None, path=None, scale=USUAL_SCALE) for name in PLAIN_WAYS]
    networks = [
        _entry(card.record.stem, model=card.record.stem, path=path, scale=_scale(card))
        for card, path in cards
    ]
    return plain + networks


def latent_mode_list() -> list[dict[str, str]]:
    """Return the ways to enlarge latents."""
    return [{"name": name} for name in LATENT_WAYS]


def _entry(name: str, *, model: str | None, path: str | None, scale: int) -> dict[str, Any]:
    return {
        "name": name,
        "model_name": model,
        "model_path": path,
        "model_url": None,
        "scale": scale,
    }


def _scale(card: ModelCard) -> int:
    """Return the factor that a family such as ``esrgan-4x`` names."""
    said = card.record.family.rpartition("-")[2].removesuffix("x")
    return int(said) if said.isdigit() else USUAL_SCALE
