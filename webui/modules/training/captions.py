"""What is said of a picture at one step: its caption, put into a template, shuffled, cut."""

import re
from random import Random
from typing import Final

from webui.modules.training.plan import DataPlan

LEADING_NUMBER: Final = re.compile(r"^[-\d]+\s+")
"""What A1111 takes off a file name that stands for a caption: ``003 a red house``."""


def caption_of_name(stem: str) -> str:
    """Return what a file's name says of its picture."""
    return LEADING_NUMBER.sub("", stem).strip()


def prompt(caption: str, name: str, plan: DataPlan, random: Random) -> str:
    """Return what is said of a picture this time.

    Args:
        caption: What is known of it.
        name: Of what is trained.
        plan: What is done with captions.
        random: Of this picture at this step alone.
    """
    if plan.drop_captions and random.random() < plan.drop_captions:
        return ""
    line = random.choice(plan.template)
    words = _tags(caption, plan, random)
    said = line.replace("[filewords]", words).replace("[name]", name)
    return ", ".join(part for part in (plan.trigger, said.strip()) if part)


def is_fixed(plan: DataPlan) -> bool:
    """Tell whether the same is said of a picture each time."""
    varied = plan.drop_captions or plan.drop_tags or plan.shuffle_tags
    return not varied and len(plan.template) == 1


def _tags(caption: str, plan: DataPlan, random: Random) -> str:
    if not plan.shuffle_tags and not plan.drop_tags:
        return caption
    tags = [tag.strip() for tag in caption.split(",") if tag.strip()]
    kept, rest = tags[: plan.keep_tags], tags[plan.keep_tags :]
    if plan.drop_tags:
        rest = [tag for tag in rest if random.random() >= plan.drop_tags]
    if plan.shuffle_tags:
        random.shuffle(rest)
    return ", ".join([*kept, *rest])
