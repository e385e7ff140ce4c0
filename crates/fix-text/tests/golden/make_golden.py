#!/usr/bin/env python3
"""Write fixed.json: odd and ordinary texts, and what ftfy and Python's `html.unescape` make of those that they change.

    pip install ftfy==6.3.1 && ./make_golden.py           the golden file
    ./make_golden.py --sweep N FILE                         N texts, for the test `sweep`

The same seed gives the same texts. Words are of many languages; what goes wrong with texts is done to them: decoding in the wrong
encoding (once and twice, with bytes that are lost), entities, curly quotes, wide and half-wide forms, ligatures, controls, marks.
"""
import argparse
import html
import json
import random
import unicodedata
from importlib.metadata import version
from pathlib import Path

import ftfy

HERE = Path(__file__).resolve().parent
SEED = 20261201
WORDS = (
    "a photo of the cat and a dog in New York It's l'été déjà vu naïve café coöperate São Paulo Łódź žluťoučký kůň Ærøskøbing "
    "Straße Übergröße München İstanbul ışık çiçek ÖĞRETMEN piñata ¿qué? ¡hola! Ñandú crème brûlée à la mode œuvre Œdipe "
    "кошка собака Москва ёжик Київ їжак български мачка γάτα ΟΔΥΣΣΕΥΣ Ελλάδα σκύλος ΆΓΙΟΣ खाना बिल्ली தமிழ் ภาษาไทย แมว 猫の写真 日本語 "
    "東京 中文 照片 고양이 한국어 قطة صورة سلام חתול שלום კატა կատու tiếng Việt Đà Nẵng 😀 👍🏽 👨‍👩‍👧‍👦 🇩🇪 ❤️ ♥ ☕ ✔ 🐈‍⬛ €5 £3.50 ¥100 "
    "20 °C 5×3 ½ ² ³ µm ±1 © ® ™ § ¶ … – — • · „Zitat“ «citation» “quote” ‘single’ ‹x› it’s don’t ʻokina rock ’n’ roll "
    "100% #tag @name https://example.com/?a=b&c=d file_name <b> a<b x>y AT&T R&D fish &amp; chips &lt;br&gt; &quot;x&quot; &#39;s "
    "&eacute;t&eacute; P&EACUTE;REZ &nbsp; &hellip; &rsquo; &ldquo;x&rdquo; &#x2019; &#8364; &#128; &copy2 &notit; &amp;amp;lt; &#0; &#xD800; "
    "ＬＯＵＤ ｎｏｉｓｅ ｶﾀｶﾅ ＡＢＣ！ ﾊﾝｶｸ ￥ ﬁne ﬂower ﬃ ŉ ĳ Ǆ e\u0301 u\u0308 n\u0303 a\u030a\u0323 q\u0307\u0323 ẛ̣ Å Ω "
    "\u200b\u200d\u200e\u202a\u202c\ufeff \u2028 \u0085 \u00ad \u001b[31m \u001b[0m \u0007 \u001a \ufffd \ufffc \u0000x"
).split(" ")
ENCODINGS = ["latin-1", "cp1252", "cp1251", "cp1250", "cp1253", "cp1254", "cp1257", "iso-8859-2", "mac-roman", "cp437"]


def mojibake(rng, text):
    """The text's UTF-8 read as something else."""
    encoding = rng.choice(ENCODINGS[:2] * 4 + ENCODINGS)
    errors = rng.choice(["replace", "ignore", "latin"])
    raw = text.encode("utf-8", "surrogatepass")
    if errors != "latin":
        return raw.decode(encoding, errors)
    return "".join(bytes([b]).decode(encoding, "replace").replace("\ufffd", chr(b)) for b in raw)


def cesu(text):
    """The text's CESU-8, read as Windows-1252."""
    raw = b"".join(c.encode("utf-16-be") and "".join(
        chr(int.from_bytes(c.encode("utf-16-be")[i:i + 2], "big")) for i in range(0, len(c.encode("utf-16-be")), 2)
    ).encode("utf-8", "surrogatepass") for c in text)
    return raw.decode("latin-1")


def oddity(rng, text):
    kind = rng.randrange(14)
    if kind < 4:
        return mojibake(rng, text)
    if kind == 4:
        return mojibake(rng, mojibake(rng, text))
    if kind == 5:
        return text.replace("\u00a0", " ").replace("'", rng.choice("’‘‛ʼ＇"))
    if kind == 6:
        return html.escape(text)
    if kind == 7:
        return "".join(f"&#{ord(c)};" if rng.random() < 0.3 else c for c in text)
    if kind == 8:
        return "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" and rng.random() < 0.5 else c for c in text)
    if kind == 9:
        return unicodedata.normalize(rng.choice(["NFD", "NFKD", "NFC"]), text)
    if kind == 10:
        at = rng.randrange(len(text) + 1)
        return text[:at] + rng.choice(["\x00", "\x1b[1;31m", "\x85", "\x93", "\ufeff", "\u2028", "\r\n", "\r", "\ufffd", "\xa0", "Ã ", "Â "]) + text[at:]
    if kind == 11:
        return text.upper() if rng.random() < 0.5 else text.title()
    if kind == 12:
        return cesu(text)
    at = rng.randrange(len(text) + 1)
    c = rng.choice([rng.randrange(0x20, 0x250), rng.randrange(0x370, 0x530), rng.randrange(0x2000, 0x2200), rng.randrange(0xFF00, 0xFFF0)])
    return text[:at] + chr(c) + text[at:]


def texts(count):
    rng = random.Random(SEED)
    for i in range(count):
        text = " ".join(rng.choice(WORDS) for _ in range(rng.randrange(1, 9)))
        for _ in range(rng.choice([0, 0, 1, 1, 1, 2, 3])):
            text = oddity(rng, text)
        if rng.random() < 0.1:
            text += rng.choice(["\n", "\r\n", "\x0b", "\u2029"]) + " ".join(rng.choice(WORDS) for _ in range(3))
        # a surrogate cannot be in a text of a database
        yield text.encode("utf-8", "replace").decode("utf-8")


def case(text):
    fixed = ftfy.fix_text(text)
    # what a number of a surrogate becomes is one in Python's string, too
    return [text, fixed, html.unescape(html.unescape(fixed))]


def main():
    args = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    args.add_argument("--sweep", nargs=2, metavar=("N", "FILE"))
    args = args.parse_args()
    if args.sweep:
        count, out = int(args.sweep[0]), Path(args.sweep[1])
        cases = [case(text) for text in texts(count)]
    else:
        out = HERE / "fixed.json"
        # of each kind some, and no more than a file of tests should have
        cases = [c for c in map(case, texts(3000)) if c[0] != c[1] or len(c[0]) < 20][:700]
    head = json.dumps({"python": __import__("platform").python_version(), "ftfy": version("ftfy")})
    lines = ",\n".join(json.dumps(c, separators=(",", ":")) for c in cases)
    out.write_text(f'{{"versions": {head}, "cases": [\n{lines}\n]}}\n')
    print(f"{out.name}: {len(cases)} texts, ftfy changes {sum(c[0] != c[1] for c in cases)}")


if __name__ == "__main__":
    main()
