"""Bars as inline SVG, without a word inside: texts stand beside them in HTML, so that they grow with the reader's font.

Every bar carries its description for those who cannot see it, and every value it shows stands in a table too.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

_HEIGHT = 12


@dataclass(frozen=True, slots=True)
class Slice:
    """One stretch of a bar."""

    share: float  #: of the whole width, 0 to 1
    look: str  #: class of the style sheet


def bar(slices: Sequence[Slice], description: str) -> str:
    """One horizontal bar over the full width of its place."""
    drawn, start = [], 0.0
    for one in slices:
        width = max(0.0, min(one.share, 1.0 - start))
        if width:
            drawn.append(
                f'<rect class="{one.look}" x="{start * 100:.3f}" width="{width * 100:.3f}" height="{_HEIGHT}"/>'
            )
        start += width
    said = escape(description)
    return (
        f'<svg class="bar" viewBox="0 0 100 {_HEIGHT}" preserveAspectRatio="none" role="img" aria-label="{said}">'
        f'<desc>{said}</desc><rect class="rest" width="100" height="{_HEIGHT}"/>{"".join(drawn)}</svg>'
    )


def share(part: float, whole: float) -> float:
    """`part` of `whole`; 0 of nothing."""
    return part / whole if whole else 0.0
