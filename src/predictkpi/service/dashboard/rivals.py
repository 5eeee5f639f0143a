"""Those who could have spoken in a model's place: their names, and how much of their loss it saves, as pages say it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from predictkpi.protocol import BASELINE
from predictkpi.registry import CHAMPION
from predictkpi.service.dashboard import formats as f
from predictkpi.service.dashboard.charts import interval_bar
from predictkpi.service.dashboard.languages import gettext as _
from predictkpi.service.dashboard.languages import marked

Tone = Literal["good", "bad", "plain"]

_TITLES = {
    BASELINE: marked("Baseline"),
    "weighted_pipeline": marked("Weighted pipeline"),
    "rep_date": marked("Rep's own date"),
    "stage_win_rate": marked("Win rates by stage"),
    "stage_curves": marked("Curves by stage"),
    CHAMPION: marked("Champion"),
}
_IN_SENTENCES = {
    BASELINE: marked("the baseline"),
    "weighted_pipeline": marked("the weighted pipeline"),
    "rep_date": marked("the rep's own date"),
    "stage_win_rate": marked("the win rates by stage"),
    "stage_curves": marked("the curves by stage"),
    CHAMPION: marked("the champion"),
}


def rival_title(name: str) -> str:
    """As it stands in a table; a rival that the pages do not know is called as it is."""
    return _(_TITLES[name]) if name in _TITLES else name.replace("_", " ")


def in_sentence(name: str) -> str:
    """As it stands within a sentence."""
    return _(_IN_SENTENCES[name]) if name in _IN_SENTENCES else name.replace("_", " ")


@dataclass(frozen=True)
class Saving:
    """The share of a rival's loss that is saved, with its 95 % range where there is one; ``bar`` places it, with zero in the middle.

    ``tone`` and ``words`` say whether the range leaves zero on one side.
    """

    saved: str
    within: str = ""
    tone: Tone = "plain"
    words: str = ""
    bar: dict[str, float] | None = None


def saving(saved: float, low: float, high: float, *, span: float = 1.0) -> Saving:
    """``span``: what the bar shows at most, to each side. Without a range nothing is said of chance."""
    if not f.is_number(saved):
        return Saving(f.MISSING)
    if not f.is_number(low) or not f.is_number(high):
        return Saving(f.signed_percent(saved))
    tone: Tone = "good" if low > 0 else "bad" if high < 0 else "plain"
    words = {"good": _("clearly better"), "bad": _("clearly worse"), "plain": _("no clear difference")}[tone]
    within = f.between(f.signed_percent(low), f.signed_percent(high))
    return Saving(f.signed_percent(saved), within, tone, words, interval_bar(low, saved, high, span=(-span, span)))


def saving_in_words(saved: float, low: float, high: float, *, rival: str) -> str:
    """As a part of a sentence: 21 % less error than the baseline; empty where nothing is known."""
    if not f.is_number(saved):
        return ""
    if f.is_number(low) and low <= 0 <= high:
        return _("about as much error as {rival}").format(rival=in_sentence(rival))
    share = f.percent(abs(saved))
    if saved >= 0:
        return _("{share} less error than {rival}").format(share=share, rival=in_sentence(rival))
    return _("{share} more error than {rival}").format(share=share, rival=in_sentence(rival))


def one_sentence(parts: Sequence[str]) -> str:
    """Parts of a sentence as one, beginning with a capital."""
    text = "; ".join(part for part in parts if part).replace(" %", "\u00a0%")  # a sign alone at the start of a line reads badly
    return f"{text[:1].upper()}{text[1:]}." if text else ""
