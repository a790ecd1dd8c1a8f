"""The look in Gradio's terms: paper, ink and one seal of cinnabar. The rest is in atelier.css."""

from typing import Final

from gradio.themes import Base
from gradio.themes.utils import colors

SANS: Final = (
    "system-ui",
    "-apple-system",
    "Segoe UI",
    "PingFang SC",
    "Microsoft YaHei",
    "Noto Sans CJK SC",
    "sans-serif",
)
MONO: Final = (
    "ui-monospace",
    "SFMono-Regular",
    "Menlo",
    "Consolas",
    "DejaVu Sans Mono",
    "Noto Sans Mono CJK SC",
    "monospace",
)

CINNABAR: Final = colors.Color(
    name="cinnabar",
    c50="#fdf4f2",
    c100="#fae5e0",
    c200="#f4cbc2",
    c300="#eba798",
    c400="#de7a65",
    c500="#cb5540",
    c600="#b5402c",
    c700="#963323",
    c800="#7b2d21",
    c900="#672a20",
    c950="#38120c",
)


def paper_and_ink() -> Base:
    """Return the theme; system fonts only, so nothing is fetched."""
    theme = Base(
        primary_hue=CINNABAR,
        secondary_hue=CINNABAR,
        neutral_hue=colors.stone,
        spacing_size="sm",
        radius_size="lg",
        text_size="md",
        font=list(SANS),
        font_mono=list(MONO),
    )
    return theme.set(
        body_background_fill="#f7f5f2",
        body_background_fill_dark="#161412",
        block_background_fill="#ffffff",
        block_background_fill_dark="#1f1c1a",
        background_fill_secondary="#f7f5f2",
        block_border_width="0px",
        block_shadow="none",
        block_label_background_fill="transparent",
        block_label_background_fill_dark="transparent",
        block_label_border_width="0px",
        block_title_text_weight="500",
        block_title_text_size="13px",
        block_title_text_color="*neutral_600",
        block_title_text_color_dark="*neutral_300",
        block_info_text_size="12px",
        input_background_fill="#f7f5f2",
        input_background_fill_dark="#161412",
        input_border_color="#e4dfd9",
        input_border_color_dark="#38332f",
        input_border_color_focus="*primary_500",
        input_border_color_focus_dark="*primary_500",
        input_shadow_focus="0 0 0 3px rgba(203, 85, 64, 0.15)",
        button_primary_background_fill="#1f1c1a",
        button_primary_background_fill_hover="#3a3531",
        button_primary_background_fill_dark="#f0ece6",
        button_primary_background_fill_hover_dark="#ffffff",
        button_primary_text_color="#ffffff",
        button_primary_text_color_dark="#161412",
        button_primary_border_color="transparent",
        button_primary_border_color_dark="transparent",
        button_secondary_background_fill="#ffffff",
        button_secondary_background_fill_hover="#f0ece6",
        button_secondary_background_fill_dark="#2a2623",
        button_secondary_background_fill_hover_dark="#38332f",
        button_secondary_border_color="#dcd6cf",
        button_secondary_border_color_dark="#45403b",
        slider_color="*primary_500",
        checkbox_background_color_selected="*primary_500",
        checkbox_background_color_selected_dark="*primary_500",
    )
