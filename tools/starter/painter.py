"""The trained pair, text encoder and U-Net, and how it draws."""

import torch
from diffusers.models.attention_processor import AttnProcessor
from torch import Tensor, nn

from tools.starter.diffusion import clean_from_v, dpmpp_2m, time_of
from tools.starter.shapes import (
    LATENT_CHANNELS,
    PIXELS_PER_LATENT,
    LibraryNet,
    build_text_encoder,
    build_unet,
)
from tools.starter.words import WordTable, framed, token_ids

TABLE_SEED = 3


class Painter(nn.Module):
    """Predicts v from noisy latents, time and token ids."""

    unet: LibraryNet
    text: LibraryNet

    def __init__(self) -> None:
        """Build both parts fresh; attention is plain matrix products, fastest on a CPU."""
        super().__init__()
        self.unet = build_unet().to(memory_format=torch.channels_last)
        self.unet.set_attn_processor(AttnProcessor())
        self.text = build_text_encoder()
        self.text.set_attn_implementation("eager")
        self.words = WordTable(TABLE_SEED)
        self.text.set_input_embeddings(self.words)

    def forward(self, noisy: Tensor, times: Tensor, ids: Tensor) -> Tensor:
        """Return v like ``noisy``, ``[batch, 4, h, w]``; ``ids`` is ``[batch, 77]``."""
        context = self.text(input_ids=ids).last_hidden_state
        return self.unet(noisy, times, context).sample


@torch.no_grad()
def sample(
    painter: Painter,
    prompts: list[str],
    seeds: list[int],
    *,
    steps: int,
    guidance: float,
    side: int,
) -> Tensor:
    """Return normalised latents ``[prompts, 4, side / 8, side / 8]``, one seed for each prompt."""
    cells = side // PIXELS_PER_LATENT
    shape = (LATENT_CHANNELS, cells, cells)
    noise = torch.stack(
        [torch.randn(shape, generator=torch.Generator().manual_seed(seed)) for seed in seeds]
    )
    texts = prompts + [""] * len(prompts)
    ids = torch.tensor([framed(token_ids(text)) for text in texts])

    def denoise(latents: Tensor, sigma: float) -> Tensor:
        twice = torch.cat([latents, latents])
        times = torch.full((len(twice),), time_of(sigma))
        v = painter(twice / (sigma**2 + 1) ** 0.5, times, ids)
        with_prompt, without = clean_from_v(twice, v, sigma).chunk(2)
        return without + guidance * (with_prompt - without)

    return dpmpp_2m(denoise, noise, steps)


@torch.no_grad()
def decode(vae: LibraryNet, latents: Tensor, centre: Tensor, spread: Tensor) -> Tensor:
    """Turn normalised latents into pictures ``[batch, 3, side, side]`` in 0..1."""
    raw = latents * spread[:, None, None] + centre[:, None, None]
    return (vae.decode(raw).sample / 2 + 0.5).clamp(0, 1)
