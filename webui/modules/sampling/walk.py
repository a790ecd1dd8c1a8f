"""What every sampler is given: where it starts, the levels to walk down, and what it may ask."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from webui.modules.sampling.schedule import NoiseLevels
from webui.modules.types import SamplingPlan


class Denoiser(Protocol):
    """The guided network, asked in one of two ways."""

    def denoised(self, noisy: Tensor, sigma: Tensor) -> Tensor:
        """Return the guess at the clean latent picture, for noise of standard deviation sigma."""
        ...

    def epsilon(self, noisy: Tensor, time: Tensor) -> Tensor:
        """Return the guess at the noise in a variance-preserving latent at this timestep."""
        ...

    @property
    def unguided(self) -> Tensor:
        """What the last answer was for the negative prompt alone."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Walk:
    """The start and the rules of one walk from noise to picture.

    Attributes:
        noisy: Where to start, ``[batch, 4, height, width]``.
        sigmas: Levels to walk down for samplers over noise levels.
        timesteps: Rising timesteps for samplers over timesteps.
        partial: Whether the walk starts from a picture instead of plain noise.
        levels: What the model was trained on.
        plan: The sampler's options.
        denoiser: The guided network.
        noise: Returns fresh noise of the shape of ``noisy``.
        brownian: Returns the noise of a Brownian path between two levels.
        observe: Told the number of each step, from 0, and the guess; raises to stop.
    """

    noisy: Tensor
    sigmas: Tensor
    timesteps: Tensor
    partial: bool = False
    levels: NoiseLevels
    plan: SamplingPlan
    denoiser: Denoiser
    noise: Callable[[], Tensor]
    brownian: Callable[[Tensor, Tensor], Tensor]
    observe: Callable[[int, Tensor], None]
