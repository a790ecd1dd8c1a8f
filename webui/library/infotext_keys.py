"""What the keys of an infotext ask for: fields of a request, and options that hold for it alone."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from webui.library.infotext_extensions import read_extensions
from webui.library.infotext_passes import SOFT_KEYS, read_hires, read_refiner, read_start
from webui.library.infotext_values import Parsed, flag, number, pair, read, wording

ASSUMED: Final[Mapping[str, str | int | bool]] = {
    "Clip skip": "1",
    "Hires resize-1": 0,
    "Hires resize-2": 0,
    "Hires sampler": "Use same sampler",
    "Hires schedule type": "Use same scheduler",
    "Hires checkpoint": "Use same checkpoint",
    "Hires prompt": "",
    "Hires negative prompt": "",
    "Mask mode": "Inpaint masked",
    "Masked content": "original",
    "Inpaint area": "Whole picture",
    "Masked area padding": 32,
    "RNG": "GPU",
    "Schedule type": "Automatic",
    "Schedule max sigma": 0,
    "Schedule min sigma": 0,
    "Schedule rho": 0,
    "VAE Encoder": "Full",
    "VAE Decoder": "Full",
    "FP8 weight": "Disable",
    "Refiner switch by sampling steps": False,
}
"""What A1111 assumes for settings that a text does not mention."""

OPTION_KEYS: Final[Mapping[str, tuple[str, Callable[[str], Any]]]] = {
    "RNG": ("randn_source", str),
    "ENSD": ("eta_noise_seed_delta", int),
    "Old prompt editing timelines": ("use_old_scheduling", flag),
    "Emphasis": ("emphasis", str),
    "Noise Schedule": ("sd_noise_schedule", str),
    "Downcast alphas_cumprod": ("use_downcasted_alpha_bar", flag),
    "Discard penultimate sigma": ("always_discard_next_to_last_sigma", flag),
    "Schedule min sigma": ("sigma_min", number),
    "Schedule max sigma": ("sigma_max", number),
    "Schedule rho": ("rho", number),
    "Beta schedule alpha": ("beta_dist_alpha", number),
    "Beta schedule beta": ("beta_dist_beta", number),
    "Beta scheduler alpha": ("beta_dist_alpha", number),
    "Beta scheduler beta": ("beta_dist_beta", number),
    "SGM noise multiplier": ("sgm_noise_multiplier", flag),
    "NGMS all steps": ("s_min_uncond_all", flag),
    "Skip Early CFG": ("skip_early_cond", number),
    "Pad conds": ("pad_cond_uncond", flag),
    "Pad conds v0": ("pad_cond_uncond_v0", flag),
    "UniPC variant": ("uni_pc_variant", str),
    "UniPC skip type": ("uni_pc_skip_type", str),
    "UniPC order": ("uni_pc_order", int),
    "UniPC lower order final": ("uni_pc_lower_order_final", flag),
    "Quantize sigmas": ("enable_quantization", flag),
    "Comma padding backtrack": ("comma_padding_backtrack", int),
    "Eta": ("eta_ancestral", number),
    "Eta DDIM": ("eta_ddim", number),
    "Token merging ratio": ("token_merging_ratio", number),
    "Token merging ratio hr": ("token_merging_ratio_hr", number),
    "Conditional mask weight": ("inpainting_mask_weight", number),
    "Extra noise": ("img2img_extra_noise", number),
    "All steps": ("img2img_fix_steps", flag),
    "Color correction": ("img2img_color_correction", flag),
    "Background color": ("img2img_background_color", str),
    "Overlay": ("overlay_inpaint", flag),
    "Refiner switch by sampling steps": ("refiner_switch_by_sample_steps", flag),
    "Hires refiner": ("hires_fix_refiner_pass", str),
}
"""Settings that are A1111 options: the option and how its value is read."""

_FIELD_KEYS: Final[Mapping[str, tuple[str, Callable[[str], Any]]]] = {
    "Prompt": ("prompt", str),
    "Negative prompt": ("negative_prompt", str),
    "Steps": ("steps", int),
    "Sampler": ("sampler", str),
    "Schedule type": ("scheduler", str),
    "CFG scale": ("guidance", number),
    "Seed": ("seed", int),
    "Size-1": ("width", int),
    "Size-2": ("height", int),
    "Variation seed": ("subseed", int),
    "Variation seed strength": ("subseed_strength", number),
    "Clip skip": ("clip_skip", int),
    "Tiling": ("tiling", flag),
    "Sigma churn": ("s_churn", number),
    "Sigma tmin": ("s_tmin", number),
    "Sigma tmax": ("s_tmax", number),
    "Sigma noise": ("s_noise", number),
    "NGMS": ("s_min_uncond", number),
}
"""Settings that a request has a field for."""


_OTHER_KEYS: Final = frozenset(
    {
        "Prompt", "Negative prompt", "Model", "Model hash", "VAE", "VAE hash", "Version", "User",
        "Seed resize from-1", "Seed resize from-2", "Denoising strength", "Image CFG scale",
        "Noise multiplier", "Resize mode", "Mask blur", "Mask blur-1", "Mask blur-2",
        "Mask rounding", "Soft inpainting enabled", "Hires upscale", "Hires upscaler",
        "Hires steps", "Refiner", "Refiner switch at", "First pass size-1", "First pass size-2",
        "Init image hash", "Hypernet", "Hypernet strength", "Plain words",
    }
)  # fmt: skip

KNOWN_KEYS: Final = (
    frozenset(ASSUMED) | frozenset(OPTION_KEYS) | frozenset(_FIELD_KEYS) | frozenset(SOFT_KEYS)
    | _OTHER_KEYS
)  # fmt: skip
"""Every key that is understood here."""


def fields_of_request(parsed: Parsed) -> dict[str, Any]:
    """Return request fields from parsed settings; see ``infotext.request_fields``."""
    fields: dict[str, Any] = {
        field: read(parsed, key, how) for key, (field, how) in _FIELD_KEYS.items() if key in parsed
    }
    fields["options"] = _options(parsed)
    if "Seed resize from-1" in parsed:
        fields["seed_resize_from"] = pair(parsed, "Seed resize from")
    if vae := wording(parsed, "VAE"):
        fields["vae"] = vae
    if words := wording(parsed, "Plain words"):
        fields["plain_words"] = tuple(words.split("\n"))
    name, hash_ = wording(parsed, "Model"), wording(parsed, "Model hash")
    if name or hash_:
        fields["checkpoint"] = f"{name} [{hash_}]" if name and hash_ else name or hash_
    parts = {
        "start": read_start(parsed),
        "hires": read_hires(parsed),
        "refiner": read_refiner(parsed),
        "extensions": read_extensions(parsed),
    }
    return fields | {name: part for name, part in parts.items() if part}


def _options(parsed: Parsed) -> dict[str, Any]:
    options = {
        option: read(parsed, key, how)
        for key, (option, how) in OPTION_KEYS.items()
        if key in parsed
    }
    if "token_merging_ratio" in options:
        # img2img looks here first, and a text says one number for either.
        options["token_merging_ratio_img2img"] = options["token_merging_ratio"]
    return options
