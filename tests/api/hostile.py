"""Strings that have broken programs, written down by kind; more are made by hypothesis."""

import random

from hypothesis import strategies as st

QUOTING = (
    "'",
    '"',
    "`",
    "''",
    "\\",
    "\\\\",
    "\\'",
    "'\"`\\",
    "a'b\"c",
    "\\x00",
    "%",
    "%%",
    "&",
    ";",
)
SQL = (
    *("'; DROP TABLE notifications; --", "' OR '1'='1", "$1", "$$", "E'\\\\'", "{1,2}", "NULL"),
    *("1; SELECT pg_sleep(10)", "\\copy x from '/etc/passwd'", ":name", "ROW(1)", "\\.", "--"),
)
MARKUP = (
    *("<script>alert(1)</script>", "</p></body></html>", "<img src=x onerror=alert(1)>", "<!--"),
    *("]]>", "<![CDATA[", "&lt;b&gt;", "&#0;", "&#x110000;", "&nbsp;", "javascript:alert(1)"),
    *("\" onmouseover='alert(1)'", "<svg/onload=alert(1)>", "<?xml version='1.0'?>", "<a href='"),
)
TEMPLATES = (
    *("{{ 7*7 }}", "{% for x in y %}", "{# x #}", "{{", "}}", "{%", "%}", "{", "${7*7}", "#{7*7}"),
    *("{{ self }}", "{{ ''.__class__ }}", "{0}", "{name}", "%s", "%n%n%n", "%(name)s", "<%= 7 %>"),
)
SHELL = (
    *(
        "$(id)",
        "`id`",
        "; rm -rf /",
        "| cat /etc/passwd",
        "&& true",
        "> /dev/null",
        "../../etc/passwd",
    ),
    *("-rf", "--help", "~", "*", "%PATH%", "CON", "NUL", "C:\\", "/dev/null", "file:///etc/passwd"),
)
HEADERS = (
    *(
        "a\r\nBcc: x@example.com",
        "a\nb",
        "a\rb",
        "\r\n.\r\n",
        "\r\n\r\nbody",
        ".",
        "From x",
        "=?utf-8?B?eA==?=",
    ),
    *(
        "a: b",
        "a\tb",
        "\x0b\x0c",
        "\x1c\x1d\x1e\x1f",
        "\x85",
        "\u2028\u2029",
        "Content-Type: text/html",
    ),
)
CONTROLS = (
    *map(chr, range(32)),
    "\x7f",
    *map(chr, range(0x80, 0xA0)),
    "a\x00b",
    "\x1b[31mred\x1b[0m",
)
SCRIPTS = (
    *(
        "Ω≈ç√∫˜µ≤≥÷",
        "田中さんにあげて下さい",
        "パーティーへ行かないか",
        "Žluťoučký kůň",
        "Ünïcødé",
        "Ά",
    ),
    *(
        "مرحبا بالعالم",
        "שלום עולם",
        "ไทย",
        "हिन्दी",
        "ಕನ್ನಡ",
        "ქართული",
        "ᚠᛇᚻ",
        "𝔘𝔫𝔦𝔠𝔬𝔡𝔢",
        "㈱",
        "İıſK",
    ),
)
DIRECTIONS = (
    *(
        "\u202eevil",
        "\u202a\u202b\u202c\u202d",
        "\u2066\u2067\u2068\u2069",
        "\u200e\u200f",
        "אa\u202eב",
    ),
    *("abc\u202excod.exe", "\u061c"),
)
INVISIBLE = (
    *(
        "\u200b",
        "\u200c\u200d",
        "\ufeff",
        "\u2060",
        "\u00ad",
        "\u3164",
        "\u180e",
        "\u00a0",
        " ",
        "\u3000",
    ),
    *("a\u200bb", "\ufff9\ufffa\ufffb", "\U000e0001\U000e0041", "  lead", "trail  ", ""),
)
EMOJI = (
    *(
        "😀",
        "👩‍👩‍👧‍👦",
        "👍🏿",
        "🏳️‍🌈",
        "🇺🇸🇷🇺",
        "❤️",
        "1️⃣",
        "🧑🏽‍🚀",
        "☺︎",
        "\U0001f3f4\U000e0067\U000e007f",
    ),
)
COMBINING = ("Z̮̞̠͙͔ͅḀ̗̞͈̻̗Ḷ͙͎̯̹̞͓G̻O̭̗̮", "e\u0301", "\u0301", "a" + "\u0300" * 500, "ᄀᄀᄀ각ᆨᆨ", "ﷺ", "ﬃ")
NUMBERS = (
    "0",
    "-1",
    "1e999",
    "NaN",
    "Infinity",
    "0x0",
    "1,000",
    "१२३",
    "٣",
    "²",
    "½",
    "1/0",
    "undefined",
    "null",
)
NON_CHARACTERS = (
    "\ufffe\uffff",
    "\ufdd0",
    "\U0010ffff",
    "\U0001fffe",
    "\ufffd",
    "\ue000",
    "\U000f0000",
)
LONG = (
    "a" * 10_000,
    "字" * 10_000,
    "😀" * 5_000,
    "a " * 5_000,
    "\n" * 2_000,
    "<" * 3_000,
    "\x00" * 1_000,
)

HANDWRITTEN: tuple[str, ...] = (
    *(QUOTING + SQL + MARKUP + TEMPLATES + SHELL + HEADERS + CONTROLS + SCRIPTS + DIRECTIONS),
    *(INVISIBLE + EMOJI + COMBINING + NUMBERS + NON_CHARACTERS + LONG),
)

fragments = st.sampled_from(HANDWRITTEN).map(lambda text: text[:50])
strings: st.SearchStrategy[str] = st.one_of(
    st.text(st.characters(codec="utf-8"), max_size=60),
    st.lists(fragments, min_size=1, max_size=4).map("".join),
    st.binary(max_size=40).map(lambda data: data.decode("utf-8", "replace")),
    st.randoms(use_true_random=False).map(lambda source: _anywhere(source)),
)


def _anywhere(source: random.Random) -> str:
    """From all planes of Unicode alike, without surrogates."""
    points = (source.randrange(0x110000) for _ in range(30))
    return "".join(chr(point) for point in points if not 0xD800 <= point < 0xE000)
