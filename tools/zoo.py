"""Makes the files of ``tests/unit/modules/weights/zoo`` with the libraries that people train with.

Each file is saved by its library, over the tiny networks of the tests, and what the library's own
forward then answers is written beside it. Put the libraries into a folder of their own first:

    pip install --target LIBS --no-deps lycoris-lora==4.1.3 peft==0.21.2 accelerate einops toml
    PYTHONPATH=.:LIBS python tools/zoo.py
"""

import json
import shutil
import tempfile
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import torch
from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion import StableDiffusionPipeline
from diffusers.pipelines.stable_diffusion_xl.pipeline_stable_diffusion_xl import (
    StableDiffusionXLPipeline,
)
from diffusers.utils.state_dict_utils import (
    convert_state_dict_to_diffusers,
    convert_state_dict_to_kohya,
)
from safetensors.torch import save_file
from torch import Tensor, nn

from tests.tiny import furnish
from tests.zoo import ZOO, Trio, answers, row, tiny_sdxl
from webui.modules.device import choose
from webui.modules.pipeline.engine import Engine
from webui.modules.types import ModelKind, ModelRecord

Options = dict[str, Any]

BLOCK: Final = "down_blocks.0.attentions.0"
LINEAR: Final = (
    f"{BLOCK}.transformer_blocks.0.attn1.to_q",
    f"{BLOCK}.transformer_blocks.0.attn1.to_out.0",
    f"{BLOCK}.transformer_blocks.0.attn2.to_k",
    f"{BLOCK}.transformer_blocks.0.ff.net.2",
    "down_blocks.0.resnets.0.time_emb_proj",
)
CONVOLUTIONS: Final = (
    f"{BLOCK}.proj_in",
    "down_blocks.0.resnets.0.conv1",
    "down_blocks.1.resnets.0.conv1",
)
NORMS: Final = (
    "down_blocks.0.resnets.0.norm1",
    f"{BLOCK}.transformer_blocks.0.norm2",
    "conv_norm_out",
)
ATTENTION: Final = [
    f"attentions.{number}.transformer_blocks.0.{layer}"
    for number, layer in enumerate(("attn1.to_q", "attn2.to_v"))
]
WORDS: Final = ("layers.0.self_attn.q_proj", "layers.1.mlp.fc1", "layers.1.self_attn.out_proj")
XL: Final = (
    "input_blocks.4.1.proj_in",
    "input_blocks.4.1.transformer_blocks.0.attn1.to_q",
    "input_blocks.4.1.transformer_blocks.0.attn2.to_v",
    "middle_block.1.transformer_blocks.1.ff.net.2",
    "output_blocks.2.1.transformer_blocks.0.attn1.to_out.0",
)
XL_CONVOLUTIONS: Final = ("input_blocks.4.0.in_layers.2", "input_blocks.4.0.skip_connection",
                          "input_blocks.3.0.op", "output_blocks.2.2.conv")  # fmt: skip
XL_NORMS: Final = ("input_blocks.4.0.in_layers.0", "middle_block.1.transformer_blocks.0.norm3")

ELSEWHERE: Final = ("up_blocks*", "mid_block*", "down_blocks.[12]*", "output_blocks*",
                    "input_blocks.[578]*")  # fmt: skip
"""Blocks that GLoRA, which chooses its layers itself, shall leave alone."""

LYCORIS: Final[dict[str, Options]] = {
    "lora": {"network_module": "lora", "conv_lora_dim": 0},
    "rslora": {"network_module": "lora", "conv_lora_dim": 0, "rs_lora": True},
    "locon": {"network_module": "locon"},
    "locon-tucker": {"network_module": "locon", "use_tucker": True},
    "loha": {"network_module": "loha"},
    "loha-tucker": {"network_module": "loha", "use_tucker": True},
    "lokr": {"network_module": "lokr", "factor": 4, "decompose_both": True},
    "lokr-full": {"network_module": "lokr", "factor": 4, "full_matrix": True},
    "ia3": {"network_module": "ia3"},
    "oft": {"network_module": "diag-oft", "lora_dim": 4, "conv_lora_dim": 4, "constraint": 0},
    "oft-bound": {"network_module": "diag-oft", "lora_dim": 4, "conv_lora_dim": 4, "rescaled": True,
                  "constraint": 1e-3},
    "boft": {"network_module": "boft", "lora_dim": 4, "conv_lora_dim": 4, "constraint": 0},
    "glora": {"network_module": "glora"},
    "full": {"network_module": "full"},
    "norm": {"network_module": "lora", "train_norm": True},
    "dora": {"network_module": "locon", "weight_decompose": True},
    "dora-columns": {"network_module": "locon", "weight_decompose": True, "wd_on_out": False},
    "dora-loha": {"network_module": "loha", "weight_decompose": True},
    "dylora": {"network_module": "dylora", "lora_dim": 1, "conv_lora_dim": 1, "block_size": 1},
}  # fmt: skip
"""LyCORIS' methods. DyLoRA is of rank 1, since its forward draws a rank by lot."""


def main() -> None:
    """Make all files anew."""
    shutil.rmtree(ZOO, ignore_errors=True)
    ZOO.mkdir(parents=True)
    found: dict[str, Tensor] = {}
    with tempfile.TemporaryDirectory() as folder:
        _lycoris_zoo(Path(folder), found)
        _peft_zoo(Path(folder), found)
        _diffusers_zoo(Path(folder), found)
    save_file(found, ZOO / "forwards.safetensors", {"source": "lycoris-lora 4.1.3, peft 0.21.2"})
    total = sum(path.stat().st_size for path in ZOO.rglob("*"))
    print(f"{len(list(ZOO.rglob('*.safetensors')))} files, {total / 1e6:.2f} MB")


def _keep(found: dict[str, Tensor], case: str, networks: Trio) -> None:
    for network, answer in answers(networks).items():
        found[f"{case}|{network}"] = answer.contiguous()


def _sd1(folder: Path) -> Trio:
    path = furnish(folder) / "models" / "Stable-diffusion" / "tiny-sd1.safetensors"
    record = ModelRecord(
        path=path, kind=ModelKind.CHECKPOINT, name=path.name, config=path.with_suffix(".yaml")
    )
    checkpoint = Engine(choose("cpu", "exact")).load(record)
    return Trio(unet=checkpoint.unet, text=checkpoint.text)


# ------------------------------------------------------------------------------- LyCORIS


def _lycoris_zoo(folder: Path, found: dict[str, Tensor]) -> None:
    for case, options in LYCORIS.items():
        for make in ("sd1", "sdxl"):
            networks = _sd1(folder) if make == "sd1" else tiny_sdxl()
            _keep(found, f"base-{make}", networks)
            name = f"{make}-lycoris-{case}"
            _train_lycoris(networks, ZOO / f"{name}.safetensors", options, xl=make == "sdxl")
            _keep(found, name, networks)
    for case, part in (("text-only", "unet"), ("unet-only", "text")):
        networks = _sd1(folder)
        name = f"sd1-lycoris-{case}"
        _train_lycoris(networks, ZOO / f"{name}.safetensors", LYCORIS["lora"], without=part)
        _keep(found, name, networks)


def _train_lycoris(
    networks: Trio, path: Path, options: Options, *, xl: bool = False, without: str = ""
) -> None:
    """Lay a LyCORIS network on, give it changes that show, and let it save itself."""
    kohya = import_module("lycoris.kohya")
    norm = "train_norm" in options
    unet = (*XL, *XL_CONVOLUTIONS) if xl else (*LINEAR, *CONVOLUTIONS)
    if norm:
        unet = XL_NORMS if xl else NORMS
    text = ("layers.0.layer_norm1", "final_layer_norm") if norm else WORDS
    kohya.LycorisNetworkKohya.apply_preset(
        {
            "enable_conv": True,
            "unet_target_module": [],
            "unet_target_name": [] if without == "unet" else list(unet),
            "text_encoder_target_module": [],
            "text_encoder_target_name": [] if without == "text" else [f"*{word}" for word in text],
            "use_fnmatch": True,
            "exclude_name": list(ELSEWHERE) if options["network_module"] == "glora" else [],
        }
    )
    encoders = [_Before(networks.text)]
    if networks.second is not None:
        encoders.append(_Before(networks.second))
    chosen = {"lora_dim": 2, "conv_lora_dim": 2, "alpha": 1.0, "conv_alpha": 3.0, **options}
    root = _Ldm(networks.unet) if xl else networks.unet
    network = kohya.LycorisNetworkKohya(encoders if xl else encoders[0], root, **chosen)
    worn = {"apply_text_encoder": True, "apply_unet": True}
    network.apply_to(encoders if xl else encoders[0], root, **worn)
    _stir(network.parameters(), 0.05 if options["network_module"] in ("ia3", "full") else 0.3)
    network.eval()
    told = {"ss_network_args": json.dumps({"algo": options["network_module"]})}
    network.save_weights(str(path), None, told)


class _Before(nn.Module):
    """A text encoder under the name that it had before transformers 5."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.text_model = getattr(encoder, "text_model", encoder)


class _Ldm(nn.Module):
    """SDXL's U-Net of diffusers under the names of the code that it was trained with."""

    def __init__(self, unet: Any) -> None:
        super().__init__()
        ins = [[unet.conv_in]]
        for block in unet.down_blocks:
            ins += self._pairs(block)
            ins += [[_Op(layer.conv)] for layer in block.downsamplers or ()]
        outs: list[list[nn.Module]] = []
        for block in unet.up_blocks:
            outs += self._pairs(block)
            outs[-1] += block.upsamplers or ()
        middle = unet.mid_block
        between = [_Resnet(middle.resnets[0]), middle.attentions[0], _Resnet(middle.resnets[1])]
        self.input_blocks = nn.ModuleList(map(nn.ModuleList, ins))
        self.middle_block = nn.ModuleList(between)
        self.output_blocks = nn.ModuleList(map(nn.ModuleList, outs))

    @staticmethod
    def _pairs(block: Any) -> list[list[nn.Module]]:
        attentions = list(getattr(block, "attentions", ())) or [None] * len(block.resnets)
        pairs = zip(block.resnets, attentions, strict=True)
        return [[_Resnet(one), *([two] if two else [])] for one, two in pairs]


class _Op(nn.Module):
    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.op = layer


class _Resnet(nn.Module):
    def __init__(self, block: Any) -> None:
        super().__init__()
        self.in_layers = nn.ModuleList([block.norm1, nn.SiLU(), block.conv1])
        self.emb_layers = nn.ModuleList([nn.SiLU(), block.time_emb_proj])
        self.out_layers = nn.ModuleList([block.norm2, nn.SiLU(), nn.Identity(), block.conv2])
        if block.conv_shortcut is not None:
            self.skip_connection = block.conv_shortcut


def _stir(parameters: Iterator[nn.Parameter], size: float) -> None:
    for number, parameter in enumerate(parameters):
        drawn = row(parameter.numel(), 77_000 + number).reshape(parameter.shape)
        parameter.data = parameter.data + size * drawn


# ------------------------------------------------------------------------------- PEFT


def _peft_zoo(folder: Path, found: dict[str, Tensor]) -> None:
    peft = import_module("peft")
    _deep_butterflies_on_cpu()
    linear, layers = list(LINEAR), [*LINEAR, *CONVOLUTIONS]
    flat = [*LINEAR, f"{BLOCK}.proj_in"]
    pattern = {"rank_pattern": {"attn2.to_k": 3}, "alpha_pattern": {"attn1.to_q": 5}}
    configs = {
        "lora": peft.LoraConfig(r=2, lora_alpha=3, target_modules=layers, **pattern),
        "rslora": peft.LoraConfig(r=2, lora_alpha=3, target_modules=layers, use_rslora=True),
        "dora": peft.LoraConfig(r=2, lora_alpha=3, target_modules=layers, use_dora=True),
        "loha": peft.LoHaConfig(r=2, alpha=3, target_modules=layers),
        "lokr": peft.LoKrConfig(r=2, alpha=3, target_modules=layers),
        "ia3": peft.IA3Config(target_modules=layers, feedforward_modules=[linear[3], layers[5]]),
        "oft": peft.OFTConfig(oft_block_size=4, r=0, target_modules=flat),
        "oft-cayley": peft.OFTConfig(
            oft_block_size=4, r=0, target_modules=flat, use_cayley_neumann=False, block_share=True
        ),
        "boft": peft.BOFTConfig(boft_block_size=4, target_modules=linear),
        "boft-deep": peft.BOFTConfig(
            boft_block_size=4, boft_n_butterfly_factor=2, target_modules=linear
        ),
    }
    for case, config in configs.items():
        networks = _sd1(folder)
        model = peft.get_peft_model(networks.unet, config)
        _stir(_trainable(model), 0.3)
        model.eval().save_pretrained(ZOO / f"sd1-peft-{case}")
        (ZOO / f"sd1-peft-{case}" / "README.md").unlink()
        _keep(found, f"sd1-peft-{case}", networks)
    networks = _sd1(folder)
    config = peft.LoraConfig(r=2, lora_alpha=3, target_modules=["q_proj", "fc1"])
    model = peft.get_peft_model(networks.text, config)
    _stir(_trainable(model), 0.3)
    model.eval().save_pretrained(ZOO / "sd1-peft-text")
    (ZOO / "sd1-peft-text" / "README.md").unlink()
    _keep(found, "sd1-peft-text", networks)


def _trainable(model: nn.Module) -> Iterator[nn.Parameter]:
    return (each for each in model.parameters() if each.requires_grad)


def _deep_butterflies_on_cpu() -> None:
    """Let BOFT have several levels here too; PEFT has them only with a CUDA extension."""

    class Blocks:
        @staticmethod
        def apply(blocks: Tensor) -> Tensor:
            return torch.stack([torch.block_diag(*level) for level in blocks])

    layer: Any = import_module("peft.tuners.boft.layer")
    layer.get_fbd_cuda = lambda: True
    layer.FastBlockDiag = Blocks


# ------------------------------------------------------------------------------- diffusers


def _diffusers_zoo(folder: Path, found: dict[str, Tensor]) -> None:
    peft = import_module("peft")
    tools = import_module("peft.utils")
    config = peft.LoraConfig(r=2, lora_alpha=3, target_modules=ATTENTION)
    words = peft.LoraConfig(r=2, lora_alpha=1, target_modules=["q_proj", "fc2"])
    for make, pipeline in (("sd1", StableDiffusionPipeline), ("sdxl", StableDiffusionXLPipeline)):
        networks = _sd1(folder) if make == "sd1" else tiny_sdxl()
        given: Options = {}
        parts: Options = {"unet": networks.unet, "text_encoder": networks.text}
        parts |= {"text_encoder_2": networks.second} if networks.second else {}
        for name, network in parts.items():
            chosen = config if name == "unet" else words
            network.add_adapter(chosen)
            _stir(_trainable(network), 0.3)
            state = tools.get_peft_model_state_dict(network)
            given[f"{name}_lora_layers"] = state
            given[f"{name}_lora_adapter_metadata"] = _plain(network.peft_config["default"])
        pipeline.save_lora_weights(ZOO, weight_name=f"{make}-diffusers.safetensors", **given)
        _keep(found, f"{make}-diffusers", networks)
        if make == "sd1":
            _other_dialects(given, found)


def _other_dialects(given: Options, found: dict[str, Tensor]) -> None:
    """Save the same change under the names that diffusers gave before, and under kohya's."""
    unet, text = given["unet_lora_layers"], given["text_encoder_lora_layers"]
    told = {"lora_adapter_metadata": json.dumps(given["unet_lora_adapter_metadata"])}
    save_file(dict(unet), ZOO / "sd1-diffusers-adapter.safetensors", told)
    both = {f"unet.{key}": value for key, value in unet.items()}
    both |= {f"text_encoder.{key}": value for key, value in text.items()}
    old = convert_state_dict_to_diffusers(dict(both))
    save_file(old, ZOO / "sd1-diffusers-old.safetensors")
    peft_names = {f"base_model.model.{key}": value for key, value in both.items()}
    save_file(convert_state_dict_to_kohya(peft_names), ZOO / "sd1-diffusers-kohya.safetensors")


def _plain(config: Any) -> Options:
    told = config.to_dict()
    return {key: list(value) if isinstance(value, set) else value for key, value in told.items()}


if __name__ == "__main__":
    main()
