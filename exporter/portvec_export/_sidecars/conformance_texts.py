"""The texts whose ids and vectors every artifact records."""

from __future__ import annotations

_TEXTS = (
    # English, as queries and as prose
    "hello world",
    "When was artificial intelligence founded",
    "The quick brown fox jumps over the lazy dog.",
    "Model2Vec turns a sentence transformer into a table of token vectors.",
    "Prices rose by 3.7% in 2023, to $1,299.99 per unit (VAT included).",
    "She said: \"It's not what you'd call a well-known, state-of-the-art method!\"",
    "the the the the the the the the",
    "Antidisestablishmentarianism and pneumonoultramicroscopicsilicovolcanoconiosis",
    "ALL CAPS AND miXeD CaSe",
    "a",
    "I",
    # code, paths, markup, numbers
    "def mean(rows): return sum(rows) / max(len(rows), 1)",
    "SELECT id, name FROM users WHERE age >= 18 ORDER BY name;",
    "https://example.com/a/b?c=d&e=%20f#g or mail to someone@example.org",
    "C:\\Users\\me\\model.onnx and /usr/local/lib/libfoo.so.1.2",
    '<p class="x">Fish &amp; chips</p>',
    "3.14159265358979323846 1e-10 0xDEADBEEF 192.168.0.1 2024-02-29T23:59:59Z",
    "snake_case camelCase PascalCase kebab-case SCREAMING_CASE",
    "+-----+-----+ | a | b | +-----+-----+",
    # European languages, with accents composed and decomposed
    "Die Straße führt über große Hügel nach Österreich.",
    "L'été dernier, où êtes-vous allés, à l'œuvre ou à Noël ?",
    "El niño comió piñas en la mañana; ¿cuántas?",
    "Zażółć gęślą jaźń",
    "Příliš žluťoučký kůň úpěl ďábelské ódy",
    "Þórður á Íslandi og Åse på Færøyene",
    "İstanbul'da ışık ılık, IĞDIR'da değil",
    "cafe\u0301 naïve re\u0301sume\u0301 Å A\u030a",
    "Tiếng Việt có nhiều dấu thanh điệu",
    "Ξεσκεπάζω τὴν ψυχοφθόρα βδελυγμία",
    "Съешь же ещё этих мягких французских булок, да выпей чаю",
    "Је ли љубав џез?",
    # other scripts
    "我们在北京学习人工智能。",
    "東京は日本の首都です。カタカナとひらがな、ﾊﾝｶｸ",
    "대한민국의 수도는 서울입니다.",
    "ภาษาไทยไม่มีช่องว่างระหว่างคำ",
    "यह हिन्दी में एक वाक्य है।",
    "இது தமிழ் மொழியில் ஒரு வாக்கியம்.",
    "এটি বাংলা ভাষায় একটি বাক্য।",
    "هذه جملة باللغة العربية، وفيها تَشْكِيل.",
    "זהו משפט בעברית עם נִקּוּד",
    "ეს არის წინადადება ქართულ ენაზე",
    "Սա նախադասություն է հայերեն",
    "ይህ በአማርኛ ዓረፍተ ነገር ነው።",
    "ᚠᚢᚦᚨᚱᚲ 𐌰𐌱𐌲 𓀀𓁐 𝔘𝔫𝔦𝔠𝔬𝔡𝔢 𝟘𝟙𝟚",
    # mixed scripts and directions
    "English, русский, 中文 and العربية in one line",
    "\u202bאבג\u202c abc \u2067عربي\u2069 def",
    # emoji: plain, skin tone, joined, flag, keycap
    "I ❤️ 🍕 👍🏽 👩‍👩‍👧‍👦 🏳️‍🌈 🇯🇵 1️⃣",
    "🤷🏾‍♀️",
    # white space and controls
    "  leading and trailing  ",
    "tabs\tand\nnewlines\r\nand\u00a0no-break\u2003em\u3000ideographic",
    "bell\x07 escape\x1b[0m delete\x7f nul\x00 inside",
    "zero\u200bwidth\u200cjoin\u200ders \ufeffbom soft\u00adhyphen",
    "file\x1cgroup\x1drecord\x1eunit\x1f next\x85line\u2028para\u2029",
    "\ufffd replacement and private \ue000 and noncharacter \uffff",
    # special tokens, literally
    "[CLS] [SEP] [PAD] [UNK] [MASK] <s> </s> <unk> <pad> <|endoftext|>",
    "[UNK]",
    # nothing, or nothing known
    "",
    " ",
    "\n\t ",
    "\u200b",
    "\U000e0041\U0010fffd",
    "ꙮ",
)


def list_conformance_texts(max_length: int | None, max_characters: int | None) -> list[str]:
    """Return 64 texts in several languages and scripts, some at and over the truncation limits.

    Limits beyond a few thousand are not tried: the texts would outgrow the artifact.
    """
    tokens = min(max_length or 512, 2048)
    characters = min(max_characters or 3072, 4 * tokens, 8192)
    return [
        *_TEXTS,
        "a " * (tokens + 1),  # over the limit of tokens, if not of characters
        ("incomprehensibilities " * (characters // 22 + 1))[: characters + 1],
    ]
