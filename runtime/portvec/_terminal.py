"""Making text safe to print: names and texts of strangers may hold characters that act on a terminal."""

from __future__ import annotations

import re

# Control characters move the cursor, change colours and titles, or make a terminal type an answer. U+2028 and
# U+2029 break lines, bidi controls reorder what stands around them, and a surrogate cannot be printed.
# `re` compiles the pattern when it is first used.
_ACTIVE = "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u206f\ud800-\udfff]"


def escape(text: str) -> str:
    r"""Return `text` with every character that acts on a terminal as an escape, such as \x1b or \n."""
    return re.sub(_ACTIVE, lambda found: found[0].encode("unicode_escape").decode("ascii"), text)


def escape_json(document: str) -> str:
    r"""Return JSON with the same value and line breaks, and every such character as an escape, \u001b."""
    return re.sub(
        _ACTIVE, lambda found: found[0] if found[0] == "\n" else rf"\u{ord(found[0]):04x}", document
    )
