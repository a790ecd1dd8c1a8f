"""The upsampling layer of the LDM code, for pictures whose sides are not multiples of 64 pixels."""

from torch import Tensor, nn


class LdmUpsample(nn.Module):
    """Doubles a feature map and convolves it; then cuts it to the size that its partner has.

    Diffusers cuts before it convolves, which draws other edges. A1111's way is kept, so that a
    picture of 136 x 120 pixels is the same.
    """

    def __init__(self, conv: nn.Module) -> None:
        super().__init__()
        self.conv = conv

    def forward(self, states: Tensor, size: tuple[int, int] | None = None) -> Tensor:
        """Return ``[batch, channels, 2 * height, 2 * width]``, or of the given size."""
        doubled: Tensor = self.conv(nn.functional.interpolate(states, scale_factor=2.0))
        if size is None or tuple(doubled.shape[-2:]) == tuple(size):
            return doubled
        return nn.functional.interpolate(doubled, size)
