"""The add-ons that a wish asks for: tags in its prompt, options, and embeddings by their names."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from webui.library.cards import ModelCard
from webui.modules.errors import ModelError, UnknownNameError
from webui.modules.text.learned import LearnedWords
from webui.modules.text.prompt import Tag, take_tags
from webui.modules.types import GenerationPlan, LayerUse, ModelKind
from webui.services.layer_tags import KINDS, read_call
from webui.services.models import Models
from webui.services.options import Options

PICTURES: Final = frozenset({".png", ".webp"})
"""Endings of pictures that may lie among embeddings."""

OPTIONS: Final = {"sd_lora": "lora", "sd_hypernetwork": "hypernet"}
"""Options that call a file in every prompt, and as which tag."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Found:
    """What is asked for, and what the person should know of it."""

    layers: tuple[LayerUse, ...]
    notes: tuple[str, ...]
    plain: tuple[str, ...] = ()


def with_options(prompt: str, options: Options) -> str:
    """Return the prompt with the tags that options add to it, as A1111 writes them."""
    for option, kind in OPTIONS.items():
        name = options.text(option)
        tags = take_tags(prompt)[1]
        named = {tag.arguments[0] for tag in tags if tag.kind == kind and tag.arguments}
        if name not in ("", "None") and name not in named:
            prompt += f"<{kind}:{name}:{options.number('extra_networks_default_multiplier')}>"
    return prompt


def with_layers(
    plan: GenerationPlan, models: Models, *, ignore_tags: bool = False
) -> GenerationPlan:
    """Return the plan with the add-ons that its prompts ask for.

    An add-on that is not there is told in the notes; the picture is drawn without it, as in A1111.

    Args:
        plan: Everything else is settled; its plain words are those that were asked for.
        models: Where they are looked for.
        ignore_tags: Leave out what tags call; embeddings are words and stay.
    """

    def of_texts(prompt: str, negative: str) -> _Found:
        calling = "" if ignore_tags else prompt
        return _of_texts(calling, (prompt, negative), models, plain=plan.plain_words)

    found = of_texts(plan.prompts[0], plan.negative_prompts[0])
    notes, plain, hires = found.notes, found.plain, plan.hires
    if hires is not None:
        again = of_texts(hires.prompts[0], hires.negative_prompts[0])
        if again.layers != found.layers:
            hires = replace(hires, layers=again.layers)
        notes = tuple(dict.fromkeys((*notes, *again.notes)))
        plain = tuple(dict.fromkeys((*plain, *again.plain)))
    return replace(
        plan,
        layers=found.layers,
        plain_words=plain,
        hires=hires,
        notes=(*plan.notes, *notes),
    )


def calls_add_ons(prompt: str, texts: Iterable[str], models: Models) -> bool:
    """Tell whether a prompt calls files by tags, or embeddings are named in any of the texts."""
    tagged = any(tag.kind in KINDS for tag in take_tags(prompt)[1])
    return tagged or bool(_named_embeddings(texts, models))


def _of_texts(
    prompt: str, texts: Iterable[str], models: Models, *, plain: Collection[str]
) -> _Found:
    notes: list[str] = []
    tags = [tag for tag in take_tags(prompt)[1] if tag.kind in KINDS]
    named = _named_embeddings(texts, models)
    learned = [card for card in named if card.word not in plain]
    layers = [*_of_tags(tags, models, notes), *_embeddings(learned, models, notes)]
    return _Found(
        layers=tuple(layers),
        notes=tuple(notes),
        plain=tuple(card.word for card in named if card not in learned),
    )


def _of_tags(tags: Sequence[Tag], models: Models, notes: list[str]) -> Iterator[LayerUse]:
    calls = [(tag, read_call(tag)) for tag in tags]
    wrong = {KINDS[tag.kind] for tag, call in calls if call is None}
    notes += [f"A tag has a weight that is no number, so no {kind} is laid on." for kind in wrong]
    for _, call in calls:
        if call is None or call.kind in wrong:
            continue
        try:
            card = models.add_on(call.kind, call.name)
        except UnknownNameError as problem:
            notes.append(f"{_title(call.kind)} not found: {call.name}. {problem.hint}")
            continue
        except ModelError as problem:
            notes.append(f"{call.name} was left out: {problem}")
            continue
        notes += call.notes
        yield LayerUse(
            model=card,
            name=call.name,
            weight=call.weight,
            text_weight=call.text_weight,
            rank=call.rank,
            shorthash=models.shorthash(card),
            blocks=call.blocks,
            start=call.start,
            stop=call.stop,
        )


def _title(kind: ModelKind) -> str:
    return "LoRA" if kind is ModelKind.LORA else kind.value.capitalize()


def _named_embeddings(texts: Iterable[str], models: Models) -> list[ModelCard]:
    """Find embeddings by their names, in the order of the texts."""
    listed = models.add_ons(ModelKind.EMBEDDING)
    # A sound file goes before a broken one of its name; a picture is as a rule a mere preview.
    broken = [card for card in listed if card.problem and card.record.path.suffix not in PICTURES]
    sound = [card for card in listed if not card.problem]
    cards = {card.word: card for card in (*broken, *sound)}
    if not cards:
        return []
    words = LearnedWords((name, 1) for name in cards)
    named = dict.fromkeys(name for text in texts for name in words.named_in(take_tags(text)[0]))
    return [cards[name] for name in named]


def _embeddings(cards: Iterable[ModelCard], models: Models, notes: list[str]) -> Iterator[LayerUse]:
    for card in cards:
        name = card.word
        if card.problem:
            notes.append(f"The embedding {name} was left out: {card.problem.message}")
            continue
        record = models.hashed(card.record)
        yield LayerUse(model=record, name=name, shorthash=models.shorthash(record))
