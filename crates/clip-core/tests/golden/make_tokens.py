#!/usr/bin/env python3
"""Write the token ids that transformers' tokenizers give to a few hundred awkward texts.

    make_tokens.py [--pictograms DIR]     CLIPTokenizer: tokens/clip.json, tokens/tiny.json and tokens/pictograms.json
    make_tokens.py --bert                 BertTokenizer: tokens/bert.json
    make_tokens.py --nllb                 NllbTokenizer as open_clip calls it: tokens/nllb.json, and of German tokens/nllb-deu.json
    make_tokens.py --siglip               SiglipTokenizer and Siglip2Tokenizer: tokens/siglip.json, tokens/siglip2.json
    make_tokens.py --open-clip            open_clip's tokenizers: tokens/open-clip.json, open-clip-siglip.json, open-clip-siglip2.json
    make_tokens.py --sweep KIND N FILE    N texts of fix-text's generator, for the test `sweep` of open_clip_tokens.rs; KIND: siglip,
                                          siglip2, open-clip, open-clip-siglip, open-clip-siglip2

Truncation keeps the end token: at most `max_length` ids, the last one always EOS. Padding is left out.
"""
import argparse
import json
import sys
import unicodedata
from pathlib import Path

from transformers import BertTokenizer, CLIPTokenizer

from versions import HERE, record, versions

ROOT = HERE.parents[3]
NFD = lambda s: unicodedata.normalize("NFD", s)
NFC = lambda s: unicodedata.normalize("NFC", s)

TEXTS = {
    "captions": [
        "a photo of a cat", "A Photo Of A Dog.", "two cats sleeping on a pink couch with remotes",
        "a diagram of the water cycle", "sunset over the ocean, long exposure, 35mm film", "traffic light",
        "the Eiffel Tower at night", "a red stop sign covered in snow", "close-up of a bee on a yellow flower",
        "people playing frisbee in the park", "an empty street", "black-and-white portrait of an old man",
        "a bowl of ramen with a soft-boiled egg", "COVID-19 vaccination centre", "screenshot of a computer program",
    ],
    "words and pieces": [
        "a", "I", "z", "cat", "cats", "antidisestablishmentarianism", "pneumonoultramicroscopicsilicovolcanoconiosis",
        "supercalifragilisticexpialidocious", "xqzjkv", "qwertyuiopasdfghjklzxcvbnm", "lowerUPPERMixed", "iPhone",
        "snake_case_name", "camelCaseName", "kebab-case-name", "path/to/some/file.txt", "user@example.com",
        "https://example.com/a?b=c&d=%20#frag", "C++ and C# and F#", "#hashtag @mention", "AT&T", "R2-D2", "H2O", "CO2",
    ],
    "contractions": [
        "it's", "don't", "we're", "they've", "I'm", "you'll", "he'd", "IT'S", "DON'T", "I'M", "it\u2019s", "don\u2019t",
        "'s", "'t", "'re", "s'", "dogs' tails", "rock 'n' roll", "y'all'd've", "'twas", "o'clock", "''s", "it 's", "'S",
        "can't've won't", "'d'd'd", "'x", "l'homme d'affaires", "it'sa", "'small", "'resolve", "'tis", "'llama", "'very",
        "don'treally",
    ],
    "punctuation": [
        ".", "...", "!!!", "?!?!", "a.b.c", "(a) [b] {c}", "a , b ; c", "---", "–—―", "“quoted”", "‘single’", "«guillemets»",
        "$$$", "100%", "a&b", "a & b", "*~^`|\\", "<>", "<a href='x'>", "~!@#$%^&*()_+{}|:\"<>?", "a…b", "•·°", "→ ⇒ ↔",
        "©®™", "№ § ¶", "¿qué?", "¡hola!", "_", "__init__", "/", "\\", "\"", "'", "''", "a'b", "=>", "!=", "!!!'s!!!",
    ],
    "numbers": [
        "0", "7", "42", "1234567890", "3.14159", "1,000,000", "2023-11-14", "12:30 pm", "1st 2nd 3rd", "½ cup", "x² + y³",
        "Ⅷ", "①②③", "٣٤٥", "१२३", "１２３", "10cm", "4K", "mp3", "-5°C", "1e-10", "+1 (555) 123-4567", "🄌", "〇", "一二三",
    ],
    "emoji": [
        "😀", "😀😀😀", "I ❤️ NY", "❤", "👍🏽", "👨‍👩‍👧‍👦", "🏳️‍🌈", "🇩🇪", "🇩🇪🇫🇷", "1️⃣", "☃", "🐶 dog", "dog🐶", "🧑🏿‍🚀 in space", "🫠", "🪿",
        "🫩", "♻️ recycle", "👩🏻‍❤️‍💋‍👨🏿", "🦄🦄 🦄",
    ],
    "cjk": [
        "猫", "一张猫的照片", "猫の写真", "ネコ", "ねこ", "고양이 사진", "한국어", NFD("고양이 사진"), "漢字かな交じり文", "日本語 and English",
        "龍飛鳳舞", "𠮷野家", "㍿", "ｶﾀｶﾅ", "が", NFD("が"), "「引用」、句点。", "〜", "ㄅㄆㄇ", "北京2008",
    ],
    "right to left": [
        "قطة", "صورة قطة", "مَرْحَبًا بِالعَالَمِ", "السلام عليكم!", "خانه‌ای", "חתול", "תמונה של חתול", "שָׁלוֹם", "abc עברית def", "\u202babc\u202c", "ﷺ",
        "ﻻ",
    ],
    "indic and south-east asian": [
        "बिल्ली", "एक बिल्ली की तस्वीर", "क्षत्रिय", "ज्ञान", "বিড়াল", "பூனை", "పిల్లి", "ಬೆಕ್ಕು", "പൂച്ച", "แมว", "รูปแมว", "ภาษาไทยไม่มีช่องว่าง", "ແມວ",
        "ကြောင်", "ឆ្មា", "བོད་ཡིག", "සිංහල", "ਬਿੱਲੀ", "ક્ષ",
    ],
    "other alphabets": [
        "кошка", "Фотография кошки", "ЁЖИК ёжик", NFD("ёжик й"), "γάτα", "ΓΆΤΑ", "ΟΔΥΣΣΕΥΣ", "Σ", "ὈΔΥΣΣΕΎΣ", "კატა", "ᲙᲐᲢᲐ", "կատու", "ድመት",
        "ᏣᎳᎩ", "ꮳꮃꭹ", "ⲁⲃⲅ", "𐐔𐐯𐑅", "𝔉𝔯𝔞𝔨𝔱𝔲𝔯", "ʃəˈwɑː", "tiếng Việt", NFD("tiếng Việt"), "naïve café", NFD("naïve café"), "Ærøskøbing",
        "Łódź", "ŁÓDŹ", "Çelik", "žluťoučký kůň", NFD("ŽLUŤOUČKÝ KŮŇ"), "smörgåsbord", "ÿŸ",
    ],
    "casing": [
        "İstanbul", "ISTANBUL", "ıI", "Straße", "STRASSE", "ẞ", "ΣΑΣ", "ΑΣ ΑΣΑ", "ǅ Ǆ ǆ", "ﬀ ﬁ ﬂ ﬃ", "ŉ", "\u212b \u00c5 A\u030a", "\u212a K", "\u2126 \u03a9", "ᾼ", "Ⅳ ⅳ",
        "Ａｂｃ　ＤＥＦ", "ﬆ", "Ǌ", "𝐀𝐁", "ȺȾ", "Ꭰ", "ᴬ", "ⓐ Ⓐ",
    ],
    "combining and joining": [
        "e\u0301", "\u00e9", "e\u0301\u0327", "e\u0327\u0301", "a\u030a", "\u0301", " \u0301a", "Z\u0351\u036b\u0343a\u0322\u035fl\u0325go\u0300", "q\u0307\u0323", "q\u0323\u0307",
        "\u1e9b\u0323", "\u2126", "\u212b", "\u0958", "\ufb1d", "\u2adc", "\U0001d15e", "\u0344", "\u0f73", "a\u034fb", "zero\u200bwidth",
        "zero\u200dwidth", "zero\u200cwidth", "\ufeffbom", "word\u2060joiner", "soft\u00adhyphen", "variation\ufe0f", "\u1100\u1161\u11a8",
        "\U000e0001tag", "\ufffd", "\ue000",
    ],
    "spaces": [
        "", " ", "  ", "   ", "\t", "\n", "\r\n", " a", "a ", " a ", "  a  b  ", "a\tb", "a\nb", "a\r\nb", "a\n\n\nb", "a\u00a0b", "a\u2003b",
        "a\u3000b", "a\u202fb", "a\u205fb", "a\u1680b", "a\u180eb", "a\u2028b", "a\u2029b", "a\u0085b", "a\u000bb", "a\u000cb",
        "\u00a0", "\u3000a\u3000", "a \u00a0 b", "a . b", " .", ". ", "\u2009a\u200ab", "a\u001cb", "a\u001fb",
    ],
    "control characters": [
        "a\u0000b", "a\u0001b", "a\u0007b", "a\u0008b", "a\u001bb", "a\u001b[31mred", "a\u007fb", "a\u0080b", "a\u009fb", "\u0001", "a\u200eb\u200fc",
        "a\u2066b\u2069c",
    ],
    "markup and entities": [
        "a &amp; b", "&lt;b&gt;", "&#39;", "&quot;x&quot;", "&nbsp;", "&amp;amp;", "<b>bold</b>", "<br/>", "{\"json\": [1, 2]}", "**markdown** _it_",
        "$x^2$", "\\n is not a newline", "SELECT * FROM t WHERE a = 'b';", "%s %d {}", "\u00e2\u0080\u0099",
    ],
    "special tokens": [
        "<|endoftext|>", "<|startoftext|>", "a <|endoftext|> b", "a<|endoftext|>b", "<|startoftext|>a photo<|endoftext|>", "<|ENDOFTEXT|>",
        "<|EndOfText|>", "<|endoftext|", "|endoftext|>", "< |endoftext| >", "<|endoftext|><|endoftext|>", "</w>", "cat</w>", "a</w> b", "<|pad|>",
        "<pad> <unk> <s> </s>", "[CLS] [SEP]", "!", "<|end", "!!!<|endoftext|>???", "<|endoftext|>'s", " <|endoftext|> ", "<|\u200bendoftext|>",
    ],
    "young letters": [      # letters that joined Unicode lately: a regex engine with old tables splits them otherwise
        "\u0560\u0588", "\u08b5\u08c7", "\u10fd\u1c90", "\u1c89\u1c8a", "\ua7c0\ua7da", "\ua7cb\u0264", "\U00010d4a\U00010d70", "\U0001df00", "\U0001e030", "\U00016ea0",
        "\U00011f04", "\U0001e4d0", "\U000323af", "\u20c0", "\U0001fae8", "\U00010efd",
    ],
    "long": [
        "word " * 200, "a" * 500, "ab" * 300, "1" * 100, "!" * 500, "! " * 100, "😀" * 60, "猫" * 100, "a b c d e f g h i j k l m n o p q r s t u v w x y z " * 4,
        "the quick brown fox jumps over the lazy dog. " * 12, "й" * 90, "\u0301" * 80, " " * 300 + "end", "x" + " " * 500 + "y",
        "cat " * 74, "cat " * 75, "cat " * 76, "cat " * 29, "cat " * 30, "cat " * 31, "cat " * 75 + "<|endoftext|> dog", "cat " * 80 + "<|endoftext|>",
        "Lorem ipsum dolor sit amet, consectetur adipiscing elit, sed do eiusmod tempor incididunt ut labore et dolore magna aliqua. "
        "Ut enim ad minim veniam, quis nostrud exercitation ullamco laboris nisi ut aliquip ex ea commodo consequat. Duis aute irure dolor "
        "in reprehenderit in voluptate velit esse cillum dolore eu fugiat nulla pariatur. Excepteur sint occaecat cupidatat non proident.",
    ],
}


# SigLIP's alone: what its cleaning takes away, and lower case that depends on what stands around
SIGLIP_TEXTS = [
    "A Photo, of a Cat!", "?! a ... dog -- (cat) -- !?", "snake_case and kebab-case", "▁a▁cat", "a ▁ cat", "Σίσυφος ΣΑΣ ΑΣ, ΟΔΟΣ.",
    "! " * 300 + "cat", "!" * 40000 + " cat", "a\u001cb\u001db", "TWO DOGS IN THE PARK AT NIGHT", "CAT's dog", "ｃａｔ ＣＡＴ！", "¡cat! ¿dog?",
]


def write(name, tokenizer, max_length, texts=None, begins=True):
    texts = texts or [text for group in TEXTS.values() for text in group]
    cases = [dict(text=text, ids=tokenizer(text, truncation=True, max_length=max_length)["input_ids"])
             for text in texts]
    for case in cases:
        assert not begins or case["ids"][0] == tokenizer.bos_token_id
        assert case["ids"][-1] == tokenizer.eos_token_id and 1 + begins <= len(case["ids"]) <= max_length
    write_cases(HERE / "tokens" / f"{name}.json", cases, max_length)


def write_cases(out, cases, max_length):
    out.parent.mkdir(exist_ok=True)
    head = json.dumps(dict(versions=versions(), max_length=max_length))[:-1]
    # escaped, so that no editor or checkout normalises the texts away; a case a line, for diffs
    lines = ",\n".join(json.dumps(c, separators=(",", ":")) for c in cases)
    out.write_text(f'{head}, "cases": [\n{lines}\n]}}\n')
    full = sum(len(c["ids"]) == max_length for c in cases)
    print(f"{out.name}: {len(cases)} texts, {full} of them as long as can be")


class OpenClip:
    """open_clip's own tokenizer, called as transformers' are. It fills texts up with zeros, which is a token, too."""

    def __init__(self):
        import open_clip
        self.inner = open_clip.SimpleTokenizer()
        self.bos_token_id, self.eos_token_id = self.inner.sot_token_id, self.inner.eot_token_id

    def __call__(self, text, truncation, max_length):
        ids = [self.bos_token_id, *self.inner.encode(text), self.eos_token_id]
        return dict(input_ids=ids if len(ids) <= max_length else [*ids[:max_length - 1], self.eos_token_id])


class OpenClipSiglip:
    """What open_clip's HFTokenizer does around the tokenizer of a repository, of which transformers takes the fast form."""

    def __init__(self, directory):
        from open_clip.tokenizer import get_clean_fn
        from transformers import PreTrainedTokenizerFast
        self.clean = get_clean_fn("canonicalize")
        self.inner = PreTrainedTokenizerFast(tokenizer_file=str(HERE / "models" / directory / "tokenizer.json"))
        self.eos_token_id = 1

    def __call__(self, text, **kwargs):
        return self.inner(self.clean(text), **kwargs)


def reference(kind):
    """Tokenizer, context, and whether texts have a begin."""
    import siglip_tokenizers
    of = {"siglip": lambda: siglip_tokenizers.siglip(), "open-clip": OpenClip,
          "siglip2": lambda: siglip_tokenizers.siglip2(HERE / "models/tiny-siglip2"),
          "open-clip-siglip": lambda: OpenClipSiglip("tiny-siglip-timm"),
          "open-clip-siglip2": lambda: OpenClipSiglip("tiny-siglip2-timm-bin")}
    begins = kind == "open-clip"
    return of[kind](), 77 if begins else siglip_tokenizers.CONTEXT, begins


def generated(count):
    """Texts of the crate fix-text's generator."""
    sys.path.insert(0, str(ROOT / "crates/fix-text/tests/golden"))
    import make_golden
    return list(dict.fromkeys(make_golden.texts(count)))


# open_clip's tokens that begin and end a text are spelt otherwise than those of tokenizer.json
OPEN_CLIP_TEXTS = [
    "<end_of_text>", "<start_of_text>", "a <end_of_text> b", "a<END_of_text>b", "<start_of_text>a photo<end_of_text>", "!<end_of_text>",
    "<end_of_text><end_of_text>", "<end_of_text><start_of_text>!", "<<end_of_text>>", "<|end_of_text|>", "1<end_of_text>'s", "<end_of_text",
]


def main():
    args = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    args.add_argument("--pictograms", type=Path, default=ROOT / "models/pictograms", metavar="DIR",
                      help="the bundled model's directory (default: models/pictograms)")
    args.add_argument("--siglip", action="store_true")
    args.add_argument("--bert", action="store_true")
    args.add_argument("--nllb", action="store_true")
    args.add_argument("--open-clip", action="store_true")
    args.add_argument("--sweep", nargs=3, metavar=("KIND", "N", "FILE"))
    args = args.parse_args()
    texts = [t for group in TEXTS.values() for t in group]
    assert len(set(texts)) == len(texts), [t for t in texts if texts.count(t) > 1]
    if args.sweep:
        kind, count, out = args.sweep
        tokenizer, context, _ = reference(kind)
        cases = [dict(text=text, ids=tokenizer(text, truncation=True, max_length=context)["input_ids"])
                 for text in generated(int(count))]
        write_cases(Path(out), cases, context)
        return
    if args.bert:
        tokenizer = BertTokenizer.from_pretrained(HERE / "models/tiny-chinese-clip")
        tokenizer.bos_token, tokenizer.eos_token = "[CLS]", "[SEP]"    # what `write` looks at
        write("bert", tokenizer, 32, [*texts, "一张猫的照片", "CAFÉ Ångström", "[MASK] and [PAD]", "a\u0000b\ufffdc", "x" * 120])
        record("make_tokens.py --bert")
        return
    if args.nllb:
        import nllb_tokenizer
        chosen = [t for t in texts if t not in TEXTS["young letters"]] + ["eng_Latn", "a deu_Latn cat", "Ein Foto von zwei Katzen"]
        write("nllb", nllb_tokenizer.OpenClip(), 32, chosen, begins=False)
        write("nllb-deu", nllb_tokenizer.OpenClip("deu_Latn"), 32, TEXTS["captions"] + TEXTS["other alphabets"], begins=False)
        record("make_tokens.py --nllb", "open_clip_torch", "ftfy")
        return
    if args.open_clip:
        # Python's lower case and NFC are of another version of Unicode than Rust's
        young = TEXTS["young letters"]
        chosen = [t for t in texts + SIGLIP_TEXTS if t not in young and len(t) < 10000]
        chosen += OPEN_CLIP_TEXTS + generated(250)
        for kind in ("open-clip", "open-clip-siglip", "open-clip-siglip2"):
            tokenizer, context, begins = reference(kind)
            write(kind, tokenizer, context, chosen, begins)
        record("make_tokens.py --open-clip", "open_clip_torch", "ftfy")
        return
    if args.siglip:
        import siglip_tokenizers
        for name, tokenizer in (("siglip", siglip_tokenizers.siglip()),
                                ("siglip2", siglip_tokenizers.siglip2(HERE / "models/tiny-siglip2"))):
            special = [token for token in tokenizer.all_special_tokens]
            # text that spells a special token is split there, and what follows gets its space by other rules
            chosen = [t for t in texts + SIGLIP_TEXTS if not any(s in t for s in special)]
            write(name, tokenizer, siglip_tokenizers.CONTEXT, chosen, begins=False)
        record("make_tokens.py --siglip", "sentencepiece")
        return
    write("clip", CLIPTokenizer.from_pretrained(HERE / "tokenizers/clip"), 77)
    write("tiny", CLIPTokenizer.from_pretrained(HERE / "models/tiny-clip"), 77)
    write("pictograms", CLIPTokenizer.from_pretrained(args.pictograms), 32)
    record("make_tokens.py")


if __name__ == "__main__":
    main()
