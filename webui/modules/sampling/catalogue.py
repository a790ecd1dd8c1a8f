"""The samplers and schedules by name: what people choose from. No torch.

Labels, aliases, default schedules and order are A1111's, so that its settings texts and its HTTP
clients find what they name.
"""

from dataclasses import dataclass
from typing import Final

from webui.modules.errors import UnknownNameError


@dataclass(frozen=True, kw_only=True, slots=True)
class Scheduler:
    """A rule that spaces the noise levels.

    Attributes:
        name: Lower-case name, as the HTTP routes say it.
        label: Name for people.
        aliases: Other names under which it is found.
        default_rho: Curvature; -1 where the rule has none.
        needs_model: Whether the model's own noise levels enter beyond the highest and lowest.
    """

    name: str
    label: str
    aliases: tuple[str, ...] = ()
    default_rho: float = -1
    needs_model: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Sampler:
    """A rule that walks down the noise levels.

    Attributes:
        label: Name for people.
        function: Name of the rule in ``sampling/samplers``.
        aliases: Other names under which it is found.
        scheduler: Name of its default schedule; "automatic" where it takes the model's own.
        evaluations: How often the network is asked per step, 1 or 2.
        discards_last: Whether it drops the last noise level but one.
        brownian: Whether its noise is a Brownian path seeded by the picture's seed.
        timesteps: Whether it walks over whole timesteps rather than noise levels.
        seed_delta: Whether ENSD changes its later noise.
        own_schedule: Whether it brings its own schedule, so that none is shown or chosen.
        guidance_factor: Multiplies the guidance scale.
    """

    label: str
    function: str
    aliases: tuple[str, ...] = ()
    scheduler: str = "automatic"
    evaluations: int = 1
    discards_last: bool = False
    brownian: bool = False
    timesteps: bool = False
    seed_delta: bool = False
    own_schedule: bool = False
    guidance_factor: float = 1.0


SCHEDULERS: Final = (
    Scheduler(name="automatic", label="Automatic"),
    Scheduler(name="uniform", label="Uniform", needs_model=True),
    Scheduler(name="karras", label="Karras", default_rho=7.0),
    Scheduler(name="exponential", label="Exponential"),
    Scheduler(name="polyexponential", label="Polyexponential", default_rho=1.0),
    Scheduler(name="sgm_uniform", label="SGM Uniform", aliases=("SGMUniform",), needs_model=True),
    Scheduler(name="kl_optimal", label="KL Optimal"),
    Scheduler(name="align_your_steps", label="Align Your Steps"),
    Scheduler(name="simple", label="Simple", needs_model=True),
    Scheduler(name="normal", label="Normal", needs_model=True),
    Scheduler(name="ddim", label="DDIM", needs_model=True),
    Scheduler(name="beta", label="Beta", needs_model=True),
)

SAMPLERS: Final = (
    Sampler(label="DPM++ 2M", function="dpmpp_2m", aliases=("k_dpmpp_2m",), scheduler="karras"),
    Sampler(
        label="DPM++ SDE",
        function="dpmpp_sde",
        aliases=("k_dpmpp_sde",),
        scheduler="karras",
        evaluations=2,
        brownian=True,
    ),
    Sampler(
        label="DPM++ 2M SDE",
        function="dpmpp_2m_sde",
        aliases=("k_dpmpp_2m_sde",),
        scheduler="exponential",
        brownian=True,
    ),
    Sampler(
        label="DPM++ 2M SDE Heun",
        function="dpmpp_2m_sde_heun",
        aliases=("k_dpmpp_2m_sde_heun",),
        scheduler="exponential",
        brownian=True,
    ),
    Sampler(
        label="DPM++ 2S a",
        function="dpmpp_2s_ancestral",
        aliases=("k_dpmpp_2s_a",),
        scheduler="karras",
        evaluations=2,
        seed_delta=True,
    ),
    Sampler(
        label="DPM++ 3M SDE",
        function="dpmpp_3m_sde",
        aliases=("k_dpmpp_3m_sde",),
        scheduler="exponential",
        discards_last=True,
        brownian=True,
    ),
    Sampler(
        label="Euler a",
        function="euler_ancestral",
        aliases=("k_euler_a", "k_euler_ancestral"),
        seed_delta=True,
    ),
    Sampler(label="Euler", function="euler", aliases=("k_euler",)),
    Sampler(label="LMS", function="lms", aliases=("k_lms",)),
    Sampler(label="Heun", function="heun", aliases=("k_heun",), evaluations=2),
    Sampler(
        label="DPM2",
        function="dpm_2",
        aliases=("k_dpm_2",),
        scheduler="karras",
        evaluations=2,
        discards_last=True,
    ),
    Sampler(
        label="DPM2 a",
        function="dpm_2_ancestral",
        aliases=("k_dpm_2_a",),
        scheduler="karras",
        evaluations=2,
        discards_last=True,
        seed_delta=True,
    ),
    Sampler(
        label="DPM fast",
        function="dpm_fast",
        aliases=("k_dpm_fast",),
        seed_delta=True,
        own_schedule=True,
    ),
    Sampler(
        label="DPM adaptive",
        function="dpm_adaptive",
        aliases=("k_dpm_ad",),
        seed_delta=True,
        own_schedule=True,
    ),
    Sampler(
        label="Restart",
        function="restart",
        aliases=("restart",),
        scheduler="karras",
        evaluations=2,
    ),
    Sampler(label="DDIM", function="ddim", aliases=("ddim",), timesteps=True, own_schedule=True),
    Sampler(
        label="DDIM CFG++",
        function="ddim_cfgpp",
        aliases=("ddim_cfgpp",),
        timesteps=True,
        own_schedule=True,
        guidance_factor=1 / 12.5,
    ),
    Sampler(label="PLMS", function="plms", aliases=("plms",), timesteps=True, own_schedule=True),
    Sampler(label="UniPC", function="unipc", aliases=("unipc",), timesteps=True, own_schedule=True),
    Sampler(label="LCM", function="lcm", aliases=("k_lcm",)),
)


def find_scheduler(name: str) -> Scheduler:
    """Return the schedule of this label, name or alias, in any case.

    Raises:
        UnknownNameError: If there is none.
    """
    wanted = name.strip().lower()
    for scheduler in SCHEDULERS:
        if wanted in _names_of_scheduler(scheduler):
            return scheduler
    message = f"there is no schedule type {name!r}"
    known = ", ".join(scheduler.label for scheduler in SCHEDULERS)
    raise UnknownNameError(message, hint=f"Use one of: {known}.", value=name)


def find_sampler(name: str) -> tuple[Sampler, Scheduler | None]:
    """Return the sampler of this label or alias, and the schedule if its name follows.

    "DPM++ 2M Karras" is the sampler "DPM++ 2M" with the schedule "Karras", as settings texts from
    before A1111 1.9 write it.

    Raises:
        UnknownNameError: If there is none.
    """
    wanted = name.strip().lower()
    for sampler in SAMPLERS:
        if wanted in _names_of_sampler(sampler):
            return sampler, None
    for sampler in SAMPLERS:
        for label in _names_of_sampler(sampler):
            suffix = wanted.removeprefix(label).removeprefix(" ")
            if wanted != suffix and wanted.startswith(f"{label} "):
                for scheduler in SCHEDULERS:
                    if suffix in _names_of_scheduler(scheduler):
                        return sampler, scheduler
    message = f"there is no sampler {name!r}"
    known = ", ".join(sampler.label for sampler in SAMPLERS)
    raise UnknownNameError(message, hint=f"Use one of: {known}.", value=name)


def settle_scheduler(sampler: Sampler, scheduler: Scheduler | None) -> Scheduler:
    """Return the schedule that the sampler will really walk.

    A sampler with its own schedule keeps "automatic"; any other turns "automatic" into its default,
    or into "automatic" itself, the model's own even spacing, when it has none.
    """
    if sampler.own_schedule:
        return SCHEDULERS[0]
    if scheduler is None or scheduler.name == "automatic":
        return find_scheduler(sampler.scheduler)
    return scheduler


def _names_of_sampler(sampler: Sampler) -> tuple[str, ...]:
    return (sampler.label.lower(), *(alias.lower() for alias in sampler.aliases))


def _names_of_scheduler(scheduler: Scheduler) -> tuple[str, ...]:
    aliases = (alias.lower() for alias in scheduler.aliases)
    return (scheduler.name, scheduler.label.lower(), *aliases)
