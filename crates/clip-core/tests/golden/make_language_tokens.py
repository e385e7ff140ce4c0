#!/usr/bin/env python3
"""Token ids of 10,000 texts in 20 languages, by each kind of tokenizer that is read here. They are too many to be kept.

    make_language_tokens.py CATALOGUES OUT      CATALOGUES: a directory with messages of GIMP in many languages, as Debian's
                                                gimp-data has them: apt-get download gimp-data && dpkg -x gimp-data*.deb CATALOGUES

Writes OUT/KIND.json, and OUT/KIND/tokenizer.json where the vocabulary is not in the repository: those are trained on the messages of all
20 languages, 32,000 pieces each. Then for each KIND, at the root of the repository:

    TOKEN_SWEEP=KIND:OUT/KIND.json:OUT/KIND cargo test --profile tests -p clip-core --test open_clip_tokens sweep -- --nocapture
"""
import gettext
import json
import random
import sys
from pathlib import Path

import sentencepiece
import tokenizers
from transformers import BertTokenizer, CLIPTokenizer, Siglip2Tokenizer, SiglipTokenizer
from transformers.convert_slow_tokenizer import T5Converter

import nllb_tokenizer
import roberta_tokenizer
from make_tokens import OpenClip, OpenClipSiglip, write_cases
from versions import HERE

LANGUAGES = "ar cs de el en_GB es fa fr it ja ka ko nl pl pt_BR ru ta tr vi zh_CN".split()
EACH, VOCABULARY = 500, 32000


def messages(catalogues, language):
    found = set()
    for file in sorted(catalogues.glob(f"**/{language}/LC_MESSAGES/*.mo")):
        with file.open("rb") as opened:
            found.update(text for text in gettext.GNUTranslations(opened)._catalog.values() if isinstance(text, str))
    return sorted(text for text in found if len(text) > 5 and "\n" not in text)


def sentencepieces(texts, directory):
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(texts), model_prefix=str(directory / "spiece"), model_type="unigram", vocab_size=VOCABULARY,
        hard_vocab_limit=False, num_threads=2, minloglevel=2, bos_id=-1, pad_id=0, eos_id=1, unk_id=2, pad_piece="<pad>",
        eos_piece="</s>", unk_piece="<unk>", character_coverage=1.0)
    return directory / "spiece.model"


def siglip(texts, out):
    model = sentencepieces([text.lower() for text in texts], out)
    tokenizer = SiglipTokenizer(str(model), model_max_length=64)
    tokenizer._extra_ids = 0            # the converter for T5 asks
    (out / "tokenizer.json").write_text(T5Converter(tokenizer).converted().to_str(), encoding="utf-8")
    return tokenizer


def siglip2(texts, out):
    """Gemma's byte pair encoding with byte fallback."""
    special = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", *(f"<0x{byte:02X}>" for byte in range(256)), "▁"]
    inner = tokenizers.Tokenizer(tokenizers.models.BPE())
    inner.pre_tokenizer = tokenizers.pre_tokenizers.Metaspace(prepend_scheme="never")
    inner.train_from_iterator((text.lower() for text in texts), tokenizers.trainers.BpeTrainer(vocab_size=VOCABULARY, special_tokens=special))
    model = json.loads(inner.to_str())["model"]
    tokenizer = Siglip2Tokenizer(vocab=model["vocab"], merges=[tuple(pair) for pair in model["merges"]], add_bos_token=False,
                                 add_eos_token=True, padding_side="right", model_max_length=64)
    tokenizer.save_pretrained(out)
    path = out / "tokenizer.json"
    spec = json.loads(path.read_text(encoding="utf-8"))
    # On the hub the file is Gemma's, which keeps the case.
    assert spec["normalizer"]["normalizers"].pop(0) == {"type": "Lowercase"}, spec["normalizer"]
    path.write_text(json.dumps(spec, ensure_ascii=False), encoding="utf-8")
    return tokenizer


class SentencePiece:
    """XLM-RoBERTa's numbers of pieces, by SentencePiece itself."""

    def __init__(self, model):
        self.inner = sentencepiece.SentencePieceProcessor(model_file=str(model))

    def __call__(self, text, truncation, max_length):
        # Behind <s>, <pad>, </s>, <unk> come the pieces, which lie behind <pad>, </s>, <unk> in the model.
        ids = [3 if piece == 2 else piece + 1 for piece in self.inner.encode(text)]
        return dict(input_ids=[0, *ids[:max_length - 2], 2])


def xlm_roberta(texts, out):
    model = sentencepieces(texts, out)
    slow = SiglipTokenizer(str(model))
    slow._extra_ids = 0
    spec = roberta_tokenizer.of(json.loads(T5Converter(slow).converted().to_str()))
    (out / "tokenizer.json").write_text(json.dumps(spec, ensure_ascii=False), encoding="utf-8")
    return SentencePiece(model)


def bert(texts, out):
    inner = tokenizers.BertWordPieceTokenizer(lowercase=True)
    inner.train_from_iterator(texts, vocab_size=VOCABULARY, show_progress=False)
    (out / "vocab.txt").write_text("\n".join(token for token, _ in sorted(inner.get_vocab().items(), key=lambda item: item[1])) + "\n")
    tokenizer = BertTokenizer(str(out / "vocab.txt"), do_lower_case=True)
    tokenizer.save_pretrained(out)
    return tokenizer


def nllb(texts, out):
    """As NLLB's: a byte pair encoding of words that begin with a blank."""
    inner = tokenizers.Tokenizer(tokenizers.models.BPE())
    inner.pre_tokenizer = tokenizers.pre_tokenizers.Metaspace()
    inner.train_from_iterator(texts, tokenizers.trainers.BpeTrainer(vocab_size=VOCABULARY, special_tokens=nllb_tokenizer.SPECIAL))
    model = json.loads(inner.to_str())["model"]
    pieces = model["vocab"], [tuple(pair) for pair in model["merges"]]
    tokenizer = nllb_tokenizer.OpenClip(pieces=pieces)
    # as transformers has it, with the language in front: an import brings a file that has it elsewhere into this form
    (out / "tokenizer.json").write_text(tokenizer.inner._tokenizer.to_str(), encoding="utf-8")
    return tokenizer


def main():
    catalogues, out = map(Path, sys.argv[1:])
    all_of = {language: messages(catalogues, language) for language in LANGUAGES}
    draw = random.Random(20)
    texts = [text for language in LANGUAGES for text in draw.sample(all_of[language], EACH)]
    everything = [text for language in LANGUAGES for text in all_of[language]]

    def trained(kind, make):
        directory = out / kind
        directory.mkdir(parents=True, exist_ok=True)
        return make(everything, directory)

    references = {
        "clip": (lambda: CLIPTokenizer.from_pretrained(HERE / "tokenizers/clip"), 77),
        "open-clip": (OpenClip, 77),
        "siglip": (lambda: trained("siglip", siglip), 64),
        "open-clip-siglip": (lambda: OpenClipSiglip(out / "siglip"), 64),
        "siglip2": (lambda: trained("siglip2", siglip2), 64),
        "open-clip-siglip2": (lambda: OpenClipSiglip(out / "siglip2"), 64),
        "xlm-roberta": (lambda: trained("xlm-roberta", xlm_roberta), 77),
        "bert": (lambda: trained("bert", bert), 52),
        "nllb": (lambda: trained("nllb", nllb), 77),
    }
    for kind, (make, context) in references.items():
        tokenizer = make()
        cases = [dict(text=text, ids=tokenizer(text, truncation=True, max_length=context)["input_ids"]) for text in texts]
        write_cases(out / f"{kind}.json", cases, context)


main()
