"""A lesson's Markdown as simple HTML for the page."""

import html
import re

_FENCE = re.compile(r"^```[^\n]*\n(.*?)^```[ \t]*$", re.MULTILINE | re.DOTALL)


def page(text: str) -> str:
    """The lesson as HTML; everything from the text is escaped. Code blocks stand as they are."""
    out, at = list[str](), 0
    for fence in _FENCE.finditer(text):
        out.append(_prose(text[at : fence.start()]))
        out.append(f"<pre>{html.escape(fence[1])}</pre>")
        at = fence.end()
    return "\n".join([*out, _prose(text[at:])])


def _prose(text: str) -> str:
    out = []
    for part in html.escape(text.strip(), quote=False).split("\n\n"):
        if part.startswith("## "):
            out.append(f"<h3>{part[3:]}</h3>")
        elif part.startswith("# "):
            out.append(f"<h2>{part[2:]}</h2>")
        elif part.startswith("1. "):
            items = "".join(f"<li>{line.partition('. ')[2]}</li>" for line in part.split("\n"))
            out.append(f"<ol>{items}</ol>")
        else:
            out.append(f"<p>{part}</p>")
    return _inline("\n".join(out))


def _inline(text: str) -> str:
    """`formula`, **strong** and *emphasis*; what stands in a formula is left alone."""
    pieces = text.split("`")
    for n, piece in enumerate(pieces):
        if n % 2:
            pieces[n] = f"<code>{piece}</code>"
            continue
        for mark, tag in (("**", "strong"), ("*", "em")):
            inner = piece.split(mark)
            piece = "".join(
                f"<{tag}>{part}</{tag}>" if i % 2 else part for i, part in enumerate(inner)
            )
        pieces[n] = piece
    return "".join(pieces)
