"""What a person should know about a plan: sentences for the page and the HTTP answers."""

from dataclasses import replace

from webui.modules.sampling.catalogue import find_sampler
from webui.modules.text.prompt import Clock
from webui.modules.text.prompt_notes import Reading, prompt_notes
from webui.modules.types import GenerationPlan, SamplingPlan


def with_notes(plan: GenerationPlan) -> GenerationPlan:
    """Return the plan with notes on its first picture's prompts.

    Raises:
        RangeError: If a weight such as ``(a:1.2.3)`` is not a number.
    """
    reading = Reading(clocks=_clocks(plan), emphasis=plan.text.emphasis != "None")
    texts = [(plan.prompts[0], plan.negative_prompts[0])]
    if plan.hires:
        texts.append((plan.hires.prompts[0], plan.hires.negative_prompts[0]))
    found = [*plan.notes]
    for prompt, negative in dict.fromkeys(texts):
        found += prompt_notes(prompt, negative, reading)
    return replace(plan, notes=tuple(dict.fromkeys(found)))


def _clocks(plan: GenerationPlan) -> tuple[Clock, ...]:
    """Return how ``[a:b:when]`` is counted in each pass."""
    old, first = plan.text.old_editing, _calls(plan.sampling)
    clocks = (Clock(steps=first, old=old),)
    if plan.hires:
        second = _calls(plan.hires.sampling)
        clocks += (Clock(steps=second, first_pass=first, old=old),)
    return clocks


def _calls(sampling: SamplingPlan) -> int:
    return sampling.steps * find_sampler(sampling.sampler)[0].evaluations
