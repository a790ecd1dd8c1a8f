"""What was learned as a standard file that other programs read.

Nothing in a file hangs on when or how often the training was stopped: equal trainings give equal
bytes. Dates stand in the log of the run instead.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from safetensors.torch import save as as_bytes
from torch import Tensor

from webui.modules.layers.blocks import BASE, BLOCKS, factor_of, rank_of
from webui.modules.networks.checkpoint import NORM_GROUPS
from webui.modules.training.plan import (
    CheckpointPlan,
    EmbeddingPlan,
    HypernetworkPlan,
    LoraPlan,
    TrainingPlan,
    VaePlan,
)
from webui.modules.types import ModelKind
from webui.modules.weights.architecture import VAE, Architecture
from webui.modules.weights.header import TensorFacts, read_header
from webui.modules.weights.keymap import ldm_vae_name
from webui.modules.weights.pickles_out import Weights, write_embedding_pt, write_hypernetwork_pt
from webui.modules.weights.read import open_tensors
from webui.modules.weights.write import write_safetensors

MODELSPEC: Final = "1.0.1"
"""Version of the metadata rules of github.com/Stability-AI/ModelSpec that is followed."""

AESTHETIC: Final = {"atelier.kind": "aesthetic", "atelier.space": "text-pooled"}
"""What tells an aesthetic embedding of ours, and in which space its vector lies."""


def write(
    path: Path,
    tensors: Mapping[str, Tensor],
    plan: TrainingPlan,
    shape: Architecture,
    *,
    step: int,
    pictures: str,
) -> None:
    """Write the learned tensors as the file that their kind has.

    Args:
        path: Where; an older file of this name is replaced at once.
        tensors: From ``Learned.tensors``.
        plan: The training.
        shape: Of the checkpoint it was trained on.
        step: Steps done.
        pictures: Digest of the pictures.

    Raises:
        StorageError: If it cannot be written; nothing half-written is left.
    """
    said = _provenance(plan, step=step, pictures=pictures)
    whole = {name: tensor.detach().cpu() for name, tensor in tensors.items()}
    match plan.what:
        case LoraPlan():
            # The other methods are computed in the file's own number format, by A1111 and by us.
            stored = {name: each.half() for name, each in whole.items()}
            stored = stored if plan.what.method == "lora" else whole
            write_safetensors(path, stored, _lora_card(stored, plan, plan.what, shape, said, step))
        case EmbeddingPlan() if plan.kind is ModelKind.AESTHETIC:
            write_safetensors(path, whole, {**said, **AESTHETIC})
        case EmbeddingPlan() if path.suffix == ".pt":
            hashes = {"checkpoint_hash": plan.base.shorthash, "checkpoint_name": plan.base.stem}
            vectors = whole["emb_params"]
            write_embedding_pt(path, vectors, name=plan.name, step=step, **hashes)
        case EmbeddingPlan():
            write_safetensors(
                path, whole, {**_modelspec(plan, shape, "/textual-inversion"), **said}
            )
        case HypernetworkPlan():
            networks, settings = _by_width(whole), _settings(plan, plan.what, step)
            write_hypernetwork_pt(path, networks, settings)
        case CheckpointPlan():
            _write_checkpoint(path, whole, plan, shape, {**_modelspec(plan, shape, ""), **said})
        case VaePlan():
            _write_vae(path, whole, plan, shape, said)


def _provenance(plan: TrainingPlan, *, step: int, pictures: str) -> dict[str, str]:
    """Return what every file of ours tells: from which base, pictures and settings it came."""
    return {
        "atelier.name": plan.name,
        "atelier.step": str(step),
        "atelier.base": plan.base.stem,
        "atelier.base_sha256": plan.base.sha256,
        "atelier.pictures_sha256": pictures,
        "atelier.seed": str(plan.seed),
        "atelier.rate": plan.correction.rate,
        "atelier.batch": str(plan.group),
        "atelier.trigger": plan.data.trigger,
    }


def _modelspec(plan: TrainingPlan, shape: Architecture, ending: str) -> dict[str, str]:
    resolution = f"{plan.data.resolution}x{plan.data.resolution}"
    said = {
        "modelspec.sai_model_spec": MODELSPEC,
        "modelspec.architecture": f"stable-diffusion-v1{ending}",
        "modelspec.implementation": "diffusers",
        "modelspec.title": plan.name,
        "modelspec.resolution": resolution,
        "modelspec.prediction_type": "v" if shape.prediction == "v" else "epsilon",
    }
    return said | ({"modelspec.trigger_phrase": plan.data.trigger} if plan.data.trigger else {})


def _lora_card(
    tensors: Mapping[str, Tensor],
    plan: TrainingPlan,
    what: LoraPlan,
    shape: Architecture,
    said: Mapping[str, str],
    step: int,
) -> dict[str, str]:
    """Return the metadata that LoRA files carry (github.com/kohya-ss/sd-scripts, train_network)."""
    own = what.method == "lora"
    arguments: dict[str, Any] = {} if own else {"algo": what.method}
    if what.conv_rank:
        arguments |= {"conv_dim": str(what.conv_rank)}
    arguments |= _by_block(what)
    rate = plan.correction.rate
    kohya = {
        "ss_output_name": plan.name,
        "ss_network_module": "networks.lora" if own else "lycoris.kohya",
        "ss_network_dim": str(what.rank),
        "ss_network_alpha": str(what.alpha),
        "ss_network_args": json.dumps(arguments),
        "ss_network_dropout": str(what.dropout),
        "ss_base_model_version": "sd_v1_v" if shape.prediction == "v" else "sd_v1",
        "ss_v2": "False",
        "ss_sd_model_name": plan.base.path.name,
        "ss_new_sd_model_hash": plan.base.sha256,
        "ss_learning_rate": rate,
        "ss_unet_lr": rate if what.unet else "0",
        "ss_text_encoder_lr": f"{plan.correction.text_rate} x {rate}" if what.text else "0",
        "ss_lr_scheduler": plan.correction.shape,
        "ss_lr_warmup_steps": str(plan.correction.warm_up),
        "ss_optimizer": plan.correction.optimiser,
        "ss_max_train_steps": str(plan.steps),
        "ss_steps": str(step),
        "ss_seed": str(plan.seed),
        "ss_clip_skip": str(plan.clip_skip),
        "ss_resolution": f"({plan.data.resolution}, {plan.data.resolution})",
        "ss_min_snr_gamma": str(plan.noise.min_snr),
        "ss_noise_offset": str(plan.noise.offset),
    }
    whole = as_bytes(dict(tensors), kohya)
    after = whole[8 + int.from_bytes(whole[:8], "little") :]
    hashes = {"sshs_model_hash": hashlib.sha256(after).hexdigest()}
    return {**kohya, **hashes, **_modelspec(plan, shape, "/lora"), **said}


def _by_block(what: LoraPlan) -> dict[str, str]:
    """Return what kohya's scripts are told of single blocks: 12 downwards, the middle, 12 upwards.

    The names are those of github.com/kohya-ss/sd-scripts, ``networks/lora.py``.
    """
    blocks = [block for block in BLOCKS if block != BASE]
    told: dict[str, str] = {}
    if what.ranks:
        ranks = [rank_of(what.rank, what.ranks, block) for block in blocks]
        told["block_dims"] = _row(ranks)
        told["block_alphas"] = _row([what.alpha * rank / what.rank for rank in ranks])
    if what.ranks and what.conv_rank:
        ranks = [rank_of(what.conv_rank, what.ranks, block) for block in blocks]
        told["conv_block_dims"] = _row(ranks)
        told["conv_block_alphas"] = _row([what.alpha * rank / what.rank for rank in ranks])
    if what.blocks:
        rates = [factor_of(what.blocks, block) for block in blocks]
        told["down_lr_weight"], told["up_lr_weight"] = _row(rates[:12]), _row(rates[13:])
        told["mid_lr_weight"] = _row(rates[12:13])
    return told


def _row(numbers: Iterable[float]) -> str:
    return ",".join(f"{number:g}" for number in numbers)


def _by_width(tensors: Mapping[str, Tensor]) -> dict[int, tuple[Weights, Weights]]:
    """Return the networks for keys and for values by width, from names ``width.0 or 1.rest``."""
    pairs: dict[int, tuple[dict[str, Tensor], dict[str, Tensor]]] = {}
    for name, tensor in tensors.items():
        width, which, rest = name.split(".", 2)
        pairs.setdefault(int(width), ({}, {}))[int(which)][rest] = tensor
    return dict(pairs.items())


def _settings(plan: TrainingPlan, what: HypernetworkPlan, step: int) -> dict[str, object]:
    """Return what A1111's files say of their networks besides the tensors."""
    dropout = list(what.dropout) or [0.0] * len(what.structure)
    return {
        "step": step,
        "name": plan.name,
        "layer_structure": list(what.structure),
        "activation_func": what.activation,
        "is_layer_norm": what.layer_norm,
        "weight_initialization": what.weights,
        "sd_checkpoint": plan.base.shorthash or None,
        "sd_checkpoint_name": plan.base.stem,
        "activate_output": False,
        "use_dropout": any(dropout),
        "dropout_structure": dropout,
        "last_layer_dropout": False,
        "optional_info": None,
    }


def _write_checkpoint(
    path: Path,
    learned: Mapping[str, Tensor],
    plan: TrainingPlan,
    shape: Architecture,
    said: Mapping[str, str],
) -> None:
    """Write the base with its learned tensors in their places."""
    half = isinstance(plan.what, CheckpointPlan) and plan.what.half
    tensors: dict[str, Tensor] = {}
    with open_tensors(plan.base.path) as file:
        for name in file.names():
            own = file.read(name)
            new = learned.get(name, learned.get(_with_text_model(name)))
            tensor = own if new is None else new.reshape(own.shape)
            tensors[name] = tensor.half() if half and tensor.is_floating_point() else tensor
    write_safetensors(path, tensors, said)


def _with_text_model(name: str) -> str:
    """Return the full name of a tensor of the first SD files, which leave out ``text_model.``."""
    return name.replace("cond_stage_model.transformer.", "cond_stage_model.transformer.text_model.")


def _write_vae(
    path: Path,
    whole: Mapping[str, Tensor],
    plan: TrainingPlan,
    shape: Architecture,
    said: Mapping[str, str],
) -> None:
    """Write the autoencoder with the LDM code's names, shaped as in the base."""
    half = isinstance(plan.what, VaePlan) and plan.what.half
    source = plan.vae.path if plan.vae else plan.base.path
    shapes: Mapping[str, TensorFacts] = {} if source.is_dir() else read_header(source).tensors
    tensors: dict[str, Tensor] = {}
    for ours, tensor in whole.items():
        name = ldm_vae_name(ours, shape.vae)
        told = shapes.get(VAE + name) or shapes.get(name)
        tensor = tensor.reshape(tuple(told.shape)) if told else tensor  # noqa: PLW2901 - the same numbers
        tensors[name] = tensor.half() if half else tensor
    write_safetensors(path, tensors, {**said, NORM_GROUPS: str(shape.vae.groups)})
