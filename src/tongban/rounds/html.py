"""The few pieces of HTML that the report is made of. Everything that comes in as text goes out escaped."""

from collections.abc import Iterable, Sequence
from html import escape

from tongban.rounds.figures import Words


def said(words: Words, **facts: object) -> str:
    """Chinese, then English marked as such, both filled with `facts` (a Words gives each language its own)."""
    return f'{escape(filled(words, 0, facts))} <span lang="en">{escape(filled(words, 1, facts))}</span>'


def filled(words: Words, language: int, facts: dict[str, object]) -> str:
    """One language of `words`, 0 Chinese or 1 English."""
    own = {name: fact[language] if isinstance(fact, Words) else fact for name, fact in facts.items()}
    return words[language].format(**own)


def zh(words: Words, **facts: object) -> str:
    """The Chinese alone, not yet escaped: for descriptions that are read aloud in the page's language."""
    return filled(words, 0, facts)


def section(id: str, words: Words, content: Iterable[str], **facts: object) -> str:
    heading = said(words, **facts)
    return f'<section aria-labelledby="{id}"><h2 id="{id}">{heading}</h2>{"".join(content)}</section>'


def table(caption: Words, columns: Sequence[tuple[Words, bool]], rows: Iterable[Sequence[str]], about: str = "") -> str:
    """`columns`: heading, and whether it holds numbers; `rows`: finished cells, the first of them the row's heading.

    `about` comes before the caption where the table is read aloud and its surroundings are not.

    A wide table scrolls inside its own box, reachable by keyboard, so that a phone's page never does.
    """
    heads = "".join(f'<th scope="col"{_number(wide)}>{said(words)}</th>' for words, wide in columns)
    body = "".join(f"<tr>{_cells(cells, columns)}</tr>" for cells in rows)
    label = escape(f"{about}：{caption.zh}" if about else caption.zh)
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{label}"><table>'
        f"<caption>{said(caption)}</caption><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _cells(cells: Sequence[str], columns: Sequence[tuple[Words, bool]]) -> str:
    first, *others = cells
    drawn = (f"<td{_number(wide)}>{cell}</td>" for cell, (_, wide) in zip(others, columns[1:], strict=True))
    return f'<th scope="row">{first}</th>{"".join(drawn)}'


def _number(wide: bool) -> str:
    return ' class="n"' if wide else ""


def count(value: int) -> str:
    return f"{value:,}"


def seconds(value: float | None) -> str:
    """One decimal below ten seconds, none above; a dash if it was not measured."""
    if value is None:
        return "—"
    return f"{value:.1f}" if value < 10 else f"{value:,.0f}"


def percent(share: float) -> str:
    return f"{100 * share:.1f}%"
