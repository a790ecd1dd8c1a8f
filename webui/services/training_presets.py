"""Settings to begin with, for each kind and subject, every value with its reason.

The values follow what trainers ship and document: diffusers' README files (DreamBooth, LoRA,
textual inversion, text-to-image), sd-scripts' and OneTrainer's defaults, and A1111's Train tab.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from webui.modules.errors import UnknownNameError
from webui.modules.types import ModelKind


@dataclass(frozen=True, slots=True)
class Said:
    """A sentence in both languages of the page."""

    en: str
    zh: str


@dataclass(frozen=True, slots=True)
class Choice:
    """A value and why it is good.

    Attributes:
        value: Of the setting.
        why: The reason, in one or two sentences.
    """

    value: Any
    why: Said


@dataclass(frozen=True, slots=True)
class Preset:
    """Settings to begin with.

    Attributes:
        kind: What is trained.
        subject: What the pictures show.
        choices: By dotted names of settings.
    """

    kind: ModelKind
    subject: str
    choices: Mapping[str, Choice]

    def settings(self) -> dict[str, Any]:
        """Return the values alone."""
        return {name: choice.value for name, choice in self.choices.items()}


SUBJECTS: Final[Mapping[str, Said]] = MappingProxyType(
    {
        "face": Said("A face", "一张脸"),
        "object": Said("An object", "一件物品"),
        "style": Said("A style", "一种画风"),
        "landscape": Said("A landscape mood", "一种风景氛围"),
    }
)
"""What pictures show, as people say it."""

USUAL: Final = "object"
"""The subject when nobody says one."""


def _one(value: Any, en: str, zh: str) -> Choice:
    return Choice(value, Said(en, zh))


_EVERY: Final[Mapping[str, Choice]] = {
    "batch_size": _one(
        1,
        "One picture at a time needs the least memory; the rates below are meant for it.",
        "每次一张图，占用内存最少；下面的学习率都按此设定。",
    ),
    "data.held_out": _one(
        0.1,
        "One picture in ten is only measured on: when its loss rises, the rest is learnt by heart.",
        "十分之一的图片只用来测量：当它的损失上升时，说明其余图片正在被死记硬背。",
    ),
}
"""What holds for every kind."""

_FLIPS: Final[Mapping[str, Choice]] = {
    "face": _one(
        value=False,
        en="No face is the same in the mirror: a parting would end up on both sides.",
        zh="脸左右并不对称：翻转会让发缝或痣出现在两边。",
    ),
    "object": _one(
        value=False,
        en="Lettering and handles have a side; switch it on for things that look alike from both.",
        zh="文字和把手有方向；左右相同的物品可以打开翻转。",
    ),
    "style": _one(
        value=True,
        en="A style has no side, and each picture counts for two.",
        zh="画风没有左右之分，一张图可当两张用。",
    ),
    "landscape": _one(
        value=True,
        en="A view stays a view in the mirror, and each picture counts for two.",
        zh="风景翻转后仍是风景，一张图可当两张用。",
    ),
}

_OFFSET: Final = _one(
    0.05,
    "A mood is often dark or bright as a whole; plain noise cannot teach that, offset noise can.",
    "氛围往往整体偏暗或偏亮；普通噪声学不到这一点，偏移噪声可以。",
)
_SILENT: Final = _one(
    0.1,
    "One time in ten the picture comes without words, so that the style does not hang on them and"
    " guidance keeps working.",
    "十次中有一次不给文字，使画风不依赖词语，并让引导继续有效。",
)
_MIN_SNR: Final = _one(
    5.0,
    "Easy noise levels count less (min-SNR 5), which learns faster and more evenly.",
    "简单的噪声级别权重更小（min-SNR 5），学得更快更均匀。",
)

_KINDS: Final[Mapping[ModelKind, Mapping[str, Choice]]] = {
    ModelKind.LORA: {
        "what.rank": _one(
            16,
            "16 dimensions hold one subject; 4 forget details, 64 learn the background as well.",
            "16 维足以容纳一个主题；4 维会丢细节，64 维会把背景也学进去。",
        ),
        "what.alpha": _one(
            16.0,
            "As large as the rank, so the learned change counts fully and rates compare.",
            "与秩相同，学到的改变按原样计入，学习率也便于比较。",
        ),
        "correction.rate": _one(
            "1e-4",
            "The rate of nearly every published recipe for AdamW; ten times more breaks colours.",
            "几乎所有 AdamW 公开配方都用的学习率；再大十倍颜色就会坏掉。",
        ),
        "correction.text_rate": _one(
            0.5,
            "The text encoder has far fewer weights and overfits first, so it learns half as fast.",
            "文本编码器权重少得多，最先过拟合，所以只用一半的速度。",
        ),
        "correction.shape": _one(
            "cosine",
            "The rate falls to nothing in a soft curve: large changes first, details last.",
            "学习率沿柔和曲线降到零：先大改，后细节。",
        ),
        "correction.warm_up": _one(
            75,
            "The first steps are small while the optimiser is still finding out what is large.",
            "开始几步走得小，让优化器先弄清尺度。",
        ),
        "noise.min_snr": _MIN_SNR,
        "steps": _one(
            1500,
            "A hundred looks at each of 15 pictures; watch the wall and stop when it is good.",
            "15 张图每张约看一百遍；看着样图墙，满意就停。",
        ),
    },
    ModelKind.EMBEDDING: {
        "what.vectors": _one(
            2,
            "Two vectors tell a thing apart from its kind; more remember the pictures themselves.",
            "两个向量足以把它与同类区分；更多就会记住图片本身。",
        ),
        "what.words": _one(
            "thing",
            "The word begins where a word for its kind is, so half the way is done.",
            "从同类词的位置开始，已走完一半路。",
        ),
        "data.template": _one(
            ("a photo of [name]", "a picture of [name]", "[name], [filewords]"),
            "The word is heard in several sentences, so that it works in others as well.",
            "在几种句子里出现，之后放进别的句子也管用。",
        ),
        "correction.rate": _one(
            "5e-3",
            "A1111's rate. A few numbers are learnt, so each may move fast.",
            "A1111 的学习率。只学少量数字，所以每个可以走得快。",
        ),
        "correction.weight_decay": _one(
            0.0,
            "Decay would pull the word towards zero, which means nothing.",
            "权重衰减会把词拉向毫无意义的零。",
        ),
        "steps": _one(
            3000,
            "diffusers' figure. The network itself stays as it is, so a word takes its time.",
            "diffusers 的步数。网络本身不变，所以一个词需要时间。",
        ),
    },
    ModelKind.HYPERNETWORK: {
        "what.structure": _one(
            (1.0, 2.0, 1.0),
            "A1111's own: one hidden layer, twice as wide.",
            "A1111 的默认：一个两倍宽的隐藏层。",
        ),
        "what.activation": _one(
            "linear",
            "The steadiest; others learn more and break more easily.",
            "最稳定；其他激活学得更多，也更容易坏。",
        ),
        "what.weights": _one(
            "Normal",
            "Begins next to nothing, so the first picture is that of the checkpoint.",
            "几乎从零开始，第一张图就是底模的图。",
        ),
        "correction.rate": _one(
            "1e-5",
            "A1111's rate. It changes every key and value; 5e-3 destroys it.",
            "A1111 的学习率。它改动所有键和值；5e-3 会毁掉它。",
        ),
        "steps": _one(
            4000,
            "At so small a rate it takes thousands of steps before something can be seen.",
            "学习率这么小，要几千步才看得出变化。",
        ),
    },
    ModelKind.CHECKPOINT: {
        "what.text": _one(
            value=False,
            en="The text encoder stays as it is, so all other words keep their meaning.",
            zh="文本编码器保持不变，其他词的意思都不会变。",
        ),
        "what.half": _one(
            value=True,
            en="16 bits are how checkpoints are shared; pictures do not differ visibly.",
            zh="分享底模通常用 16 位；画面看不出差别。",
        ),
        "correction.rate": _one(
            "5e-6",
            "DreamBooth's rate. All weights move, so each may only move a little.",
            "DreamBooth 的学习率。所有权重都在动，每个只能动一点。",
        ),
        "correction.clip": _one(
            1.0,
            "One odd picture cannot throw the whole painter off.",
            "一张奇怪的图不会把整个模型带偏。",
        ),
        "noise.min_snr": _MIN_SNR,
        "steps": _one(
            800,
            "DreamBooth's figure; beyond it everything begins to look like the pictures.",
            "DreamBooth 的步数；再多就什么都像训练图了。",
        ),
    },
    ModelKind.VAE: {
        "what.absolute": _one(
            1.0, "The plain difference decides about colours.", "直接的差值决定颜色。"
        ),
        "what.square": _one(
            0.5,
            "Large errors count more, so no spot is far off.",
            "大误差权重更大，没有哪处偏得离谱。",
        ),
        "what.edges": _one(
            0.5,
            "Differences between neighbours count, or else everything turns soft.",
            "邻近像素的差也要算，否则一切都会变糊。",
        ),
        "correction.rate": _one(
            "1e-5",
            "The decoder is good already; it is bent, not learnt anew.",
            "解码器已经很好；只是微调，不是重学。",
        ),
        "correction.weight_decay": _one(
            0.0, "What is right already shall stay.", "已经对的部分应保持不变。"
        ),
        "steps": _one(
            1000,
            "Details come in the first thousand steps; then they are learnt by heart.",
            "细节在前一千步就会出现；之后是死记硬背。",
        ),
    },
    ModelKind.AESTHETIC: {
        "what.vectors": _one(
            4,
            "They end as one direction; four find it more surely than one.",
            "最后会合成一个方向；四个向量比一个更容易找到它。",
        ),
        "what.words": _one(
            "picture", "Begins where nothing is said yet.", "从还没有说什么的地方开始。"
        ),
        "data.template": _one(
            ("a picture in the mood of [name]", "[name], [filewords]"),
            "Captions take away what the pictures show; what is left is how they look.",
            "描述带走图片的内容；剩下的就是它们的样子。",
        ),
        "correction.rate": _one(
            "5e-3",
            "As for an embedding: few numbers may move fast.",
            "与嵌入相同：数字少，可以走得快。",
        ),
        "correction.weight_decay": _one(
            0.0,
            "Decay would pull it towards zero, which points nowhere.",
            "权重衰减会把它拉向没有方向的零。",
        ),
        "steps": _one(
            1500,
            "A direction is coarser than a word and is found sooner.",
            "方向比一个词粗略，更快找到。",
        ),
    },
}

_PAIRS: Final[Mapping[tuple[ModelKind, str], Mapping[str, Choice]]] = {
    (ModelKind.LORA, "style"): {
        "what.rank": _one(
            32,
            "A style shows in everything, so it takes more dimensions than one thing.",
            "画风体现在一切之中，比一件东西需要更多维度。",
        ),
        "what.alpha": _one(32.0, "As large as the rank.", "与秩相同。"),
        "data.drop_captions": _SILENT,
    },
    (ModelKind.LORA, "landscape"): {
        "noise.offset": _OFFSET,
        "what.targets": _one(
            "transformer",
            "Light and colour are made in the feed-forward layers too, not in attention alone.",
            "光与色也在前馈层里产生，不只在注意力里。",
        ),
    },
    (ModelKind.LORA, "face"): {
        "steps": _one(
            2000,
            "People notice the smallest slip in a face, so it gets more steps.",
            "人对脸最敏感，所以步数更多。",
        ),
    },
    (ModelKind.EMBEDDING, "face"): {
        "what.vectors": _one(
            4, "A face has more to say than a cup.", "一张脸比一个杯子信息更多。"
        ),
        "what.words": _one("person", "The word for its kind.", "同类的词。"),
    },
    (ModelKind.EMBEDDING, "style"): {
        "what.vectors": _one(
            6,
            "Brush, colour and light each want room.",
            "笔触、颜色和光线各需要位置。",
        ),
        "what.words": _one("painting", "The word for its kind.", "同类的词。"),
        "data.template": _one(
            ("a painting in the style of [name]", "a picture in the style of [name]",
             "[filewords], in the style of [name]"),
            "Captions name what is shown, so the word is left with how it is painted.",
            "描述说明画了什么，这个词就只剩下怎么画。",
        ),
    },
    (ModelKind.EMBEDDING, "landscape"): {
        "what.words": _one("landscape", "The word for its kind.", "同类的词。"),
        "noise.offset": _OFFSET,
    },
    (ModelKind.HYPERNETWORK, "style"): {
        "data.drop_captions": _SILENT,
        "steps": _one(
            6000,
            "A style is what hypernetworks are good at; it pays to wait.",
            "画风正是超网络的长处，值得多等。",
        ),
    },
    (ModelKind.HYPERNETWORK, "landscape"): {"noise.offset": _OFFSET},
    (ModelKind.CHECKPOINT, "face"): {
        "correction.rate": _one(
            "2e-6",
            "Slower than for things: a face that is learnt too fast looks like a mask.",
            "比物品慢：学得太快的脸像面具。",
        ),
        "steps": _one(1200, "More steps at the lower rate.", "学习率低，步数多一些。"),
    },
    (ModelKind.CHECKPOINT, "style"): {
        "correction.rate": _one(
            "1e-5",
            "diffusers' rate for many pictures of one style.",
            "diffusers 用于大量同风格图片的学习率。",
        ),
        "correction.average": _one(
            0.999,
            "The running average is saved: it is calmer than any single step.",
            "保存滑动平均：比任何单独一步都更平稳。",
        ),
        "steps": _one(
            2000, "A style wants many pictures and many steps.", "画风需要许多图和步数。"
        ),
        "data.drop_captions": _SILENT,
    },
    (ModelKind.CHECKPOINT, "landscape"): {"noise.offset": _OFFSET},
    (ModelKind.VAE, "face"): {
        "what.edges": _one(
            1.0, "Eyes and hair live of their edges.", "眼睛和头发全靠边缘。"
        ),
    },
    (ModelKind.VAE, "landscape"): {
        "what.square": _one(
            1.0,
            "Skies are large and smooth: steps of colour must not remain.",
            "天空大而平滑，不能留下色阶。",
        ),
    },
}  # fmt: skip
"""What differs for a subject."""


def preset(kind: ModelKind, subject: str = USUAL) -> Preset:
    """Return the settings to begin with.

    Args:
        kind: What is trained.
        subject: A key of ``SUBJECTS``, or what people call it in English.

    Raises:
        UnknownNameError: If there is no such subject, or the kind cannot be trained.
    """
    names = {told.en.lower(): name for name, told in SUBJECTS.items()}
    found = names.get(subject.strip().lower(), subject.strip().lower())
    if found not in SUBJECTS or kind not in _KINDS:
        message = f"there is no preset {subject[:80]!r} for {kind}"
        hint = f"There are: {', '.join(SUBJECTS)}."
        raise UnknownNameError(message, hint=hint, value=subject[:80])
    flip = {"data.flip": _FLIPS[found]}
    own = _PAIRS.get((kind, found), {})
    return Preset(kind, found, MappingProxyType({**_EVERY, **_KINDS[kind], **flip, **own}))


def presets(kind: ModelKind) -> Iterator[Preset]:
    """Yield the presets of a kind, one for each subject."""
    for subject in SUBJECTS:
        yield preset(kind, subject)
