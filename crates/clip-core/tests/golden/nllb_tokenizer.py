"""A tiny tokenizer built as NLLB's is: a byte pair encoding of SentencePiece's kind, and a special token for each language.

The reference is transformers' NllbTokenizer, and open_clip's HFTokenizer around it. The file has the language behind the end,
as that of facebook/nllb-200-distilled-600M has it: transformers puts it first whatever the file says.
"""
import base64
import json
from pathlib import Path

from open_clip.tokenizer import get_clean_fn
from transformers import NllbTokenizer

import siglip_tokenizers
from versions import HERE

SPECIAL = ["<s>", "<pad>", "</s>", "<unk>"]
LANGUAGES = ["ace_Arab", "deu_Latn", "eng_Latn", "fra_Latn", "zho_Hans"]
MERGES = 120


def tiny_pieces():
    vocab = {token: i for i, token in enumerate(SPECIAL)}
    for c in ["▁", *sorted(set("".join(siglip_tokenizers.LINES)) - {" "})]:
        vocab[c] = len(vocab)
    return vocab, siglip_tokenizers.gemma_merges(vocab, MERGES)


def nllb(language="eng_Latn", pieces=None) -> NllbTokenizer:
    """`pieces`: vocabulary and merges, the tiny ones by default."""
    vocab, merges = pieces or tiny_pieces()
    # words in lower case alone have merges; the letters of others are there
    spec = json.loads((HERE / "models/tiny-siglip/tokenizer.json").read_text(encoding="utf-8"))
    steps = spec["normalizer"].get("normalizers", [spec["normalizer"]])
    charsmap = next(s["precompiled_charsmap"] for s in steps if s["type"] == "Precompiled")
    return NllbTokenizer(vocab=vocab, merges=merges, src_lang=language, extra_special_tokens=LANGUAGES,
                         _spm_precompiled_charsmap=base64.b64decode(charsmap))


def size():
    return len(nllb())


class OpenClip:
    """What open_clip does around it."""

    def __init__(self, language="eng_Latn", pieces=None):
        self.clean, self.inner = get_clean_fn("whitespace"), nllb(language, pieces)
        self.eos_token_id = self.inner.eos_token_id

    def __call__(self, text, **kwargs):
        return self.inner(self.clean(text), **kwargs)


def write(directory: Path):
    tokenizer = nllb()
    spec = json.loads(tokenizer._tokenizer.to_str())
    steps = spec["post_processor"]
    for kind in ("single", "pair"):
        steps[kind] = steps[kind][1:] + steps[kind][:1]
    assert steps["single"][-1]["SpecialToken"]["id"] == "eng_Latn", steps["single"]
    (directory / "tokenizer.json").write_text(json.dumps(spec, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")
    config = dict(bos_token="<s>", cls_token="<s>", eos_token="</s>", sep_token="</s>", pad_token="<pad>", unk_token="<unk>",
                  mask_token="<mask>", src_lang=None, tgt_lang=None, legacy_behaviour=False, tokenizer_class="NllbTokenizer")
    (directory / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n")
