"""Which VAE goes with a checkpoint: A1111's order of choices."""

from collections.abc import Iterable
from pathlib import Path

from webui.library.cards import ModelCard
from webui.modules.errors import UnknownNameError

AUTOMATIC = "Automatic"
"""The checkpoint's own wish, else the VAE beside it, else the one baked in."""

BAKED_IN = "None"
"""The one inside the checkpoint."""


def choose_vae(
    vaes: Iterable[ModelCard], wanted: str, *, checkpoint: ModelCard, overrides: bool = True
) -> ModelCard | None:
    """Return the VAE file to use; None for the one baked into the checkpoint.

    Unlike A1111's, a VAE belongs to ``model`` only as ``model.vae.*``, not as ``model2.vae.*``,
    and a name that is not there is an error instead of a picture with another VAE.

    Args:
        vaes: All VAE files.
        wanted: "Automatic", "None" or a file name (sd_vae).
        checkpoint: The main model.
        overrides: A wish other than "Automatic" goes before what stands beside the checkpoint
            (sd_vae_overrides_per_model_preferences).

    Raises:
        UnknownNameError: If there is no VAE of the wanted name.
    """
    listed = list(vaes)
    asked = AUTOMATIC if wanted in ("", "auto") else wanted
    if asked != AUTOMATIC and overrides:
        return _named(listed, asked)
    if checkpoint.vae not in ("", AUTOMATIC):
        return _named(listed, checkpoint.vae)
    beside = _beside(listed, checkpoint)
    if beside:
        return beside
    return None if asked == AUTOMATIC else _named(listed, asked)


def _named(vaes: list[ModelCard], name: str) -> ModelCard | None:
    if name == BAKED_IN:
        return None
    found = [card for card in vaes if name in (Path(card.record.name).name, card.record.name)]
    if not found:
        known = ", ".join(Path(card.record.name).name for card in vaes) or "none"
        message = f"there is no VAE {name[:200]!r}"
        raise UnknownNameError(message, hint=f"There are: {known}.", value=name[:200])
    return found[-1]


def _beside(vaes: list[ModelCard], checkpoint: ModelCard) -> ModelCard | None:
    stem = checkpoint.record.stem
    own = {f"{stem}.vae", stem}
    found = [card for card in vaes if card.record.stem in own]
    return found[0] if found else None
