"""The bodies of A1111's routes: its field names, types and defaults; unknown fields are ignored."""

from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

from webui.modules.errors import UnsupportedError

LATER: Final = {
    "restore_faces": "face restoration",
    "firstpass_image": "a picture of the first pass",
    "latent_mask": "a second mask",
}
"""Fields of A1111 that this program does not fulfil when they are set; silence would mislead."""


class A1111Model(BaseModel):
    """What all bodies have in common: numbers are numbers, and unknown fields do no harm."""

    model_config = ConfigDict(allow_inf_nan=False, protected_namespaces=(), extra="ignore")


class DrawingBody(A1111Model):
    """What ``txt2img`` and ``img2img`` have in common."""

    prompt: str | list[str] = ""
    negative_prompt: str | list[str] = ""
    styles: list[str] | None = None
    seed: int = -1
    subseed: int = -1
    subseed_strength: float = 0
    seed_resize_from_h: int = -1
    seed_resize_from_w: int = -1
    sampler_name: str | None = None
    scheduler: str | None = None
    batch_size: int = 1
    n_iter: int = 1
    steps: int = 50
    cfg_scale: float = 7.0
    width: int = 512
    height: int = 512
    restore_faces: bool | None = None
    tiling: bool | None = None
    do_not_save_samples: bool = False
    do_not_save_grid: bool = False
    eta: float | None = None
    denoising_strength: float | None = 0.75
    s_min_uncond: float | None = None
    s_churn: float | None = None
    s_tmax: float | None = None
    s_tmin: float | None = None
    s_noise: float | None = None
    override_settings: dict[str, Any] | None = None
    override_settings_restore_afterwards: bool = True
    refiner_checkpoint: str | None = None
    refiner_switch_at: float | None = None
    disable_extra_networks: bool = False
    firstpass_image: str | None = None
    comments: dict[str, Any] | None = None
    force_task_id: str | None = None
    sampler_index: str = "Euler"
    script_name: str | None = None
    script_args: list[Any] = Field(default_factory=list[Any])
    send_images: bool = True
    save_images: bool = False
    alwayson_scripts: dict[str, Any] = Field(default_factory=dict[str, Any])
    infotext: str | None = None

    def echo(self) -> dict[str, Any]:
        """Return the fields as an answer repeats them."""
        return self.model_dump(mode="json")

    def refuse_unsupported(self) -> None:
        """Refuse what would otherwise be left out silently.

        Raises:
            UnsupportedError: If a field is set that this program does not fulfil.
        """
        for name, what in LATER.items():
            value = getattr(self, name, None)
            if value:
                shown = repr(value)[:80]
                message = f"{name} is {shown}, but {what} cannot be had here yet"
                raise UnsupportedError(message, hint=f"Leave {name} out.", value=shown)


class Txt2ImgBody(DrawingBody):
    """``POST /sdapi/v1/txt2img``."""

    enable_hr: bool = False
    firstphase_width: int = 0
    firstphase_height: int = 0
    hr_scale: float = 2.0
    hr_upscaler: str | None = None
    hr_second_pass_steps: int = 0
    hr_resize_x: int = 0
    hr_resize_y: int = 0
    hr_checkpoint_name: str | None = None
    hr_sampler_name: str | None = None
    hr_scheduler: str | None = None
    hr_prompt: str = ""
    hr_negative_prompt: str = ""
    init_images: list[str] | None = Field(default=None, exclude=True)
    mask: str | None = Field(default=None, exclude=True)

    def refuse_unsupported(self) -> None:
        """Refuse what would otherwise be left out silently.

        Raises:
            UnsupportedError: If a field is set that this program does not fulfil, or a picture.
        """
        for name in ("init_images", "mask"):
            if getattr(self, name):
                message = f"txt2img starts from words, and {name} was given"
                raise UnsupportedError(message, hint="Send it to /sdapi/v1/img2img.", value=name)
        super().refuse_unsupported()


class Img2ImgBody(DrawingBody):
    """``POST /sdapi/v1/img2img``."""

    init_images: list[str] | None = None
    resize_mode: int = 0
    image_cfg_scale: float | None = None
    mask: str | None = None
    mask_blur_x: int = 4
    mask_blur_y: int = 4
    mask_blur: int | None = None
    mask_round: bool = True
    inpainting_fill: int = 0
    inpaint_full_res: bool = True
    inpaint_full_res_padding: int = 0
    inpainting_mask_invert: int = 0
    initial_noise_multiplier: float | None = None
    latent_mask: str | None = Field(default=None, exclude=True)
    include_init_images: bool = False

    def echo(self) -> dict[str, Any]:
        """Return the fields as an answer repeats them, with the pictures only if wanted."""
        hidden: dict[str, Any] = (
            {} if self.include_init_images else {"init_images": None, "mask": None}
        )
        return {**self.model_dump(mode="json"), **hidden}


class ImageBody(A1111Model):
    """``POST /sdapi/v1/png-info``."""

    image: str = ""
