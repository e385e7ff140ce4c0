"""Tiny tokenizers built as SigLIP's and SigLIP 2's are, and the reference tokenizers that read the same vocabulary.

SigLIP: a SentencePiece unigram model (here of 400 pieces) with SentencePiece's usual normalisation; transformers reads
it with SiglipTokenizer, and its converter for T5, whose pipeline SigLIP shares, makes tokenizer.json of it.
SigLIP 2: Gemma's byte pair encoding with byte fallback (here of 700 tokens), read by Siglip2Tokenizer.
"""
import itertools
import json
import tempfile
from collections import Counter
from pathlib import Path

import sentencepiece
from transformers import Siglip2Tokenizer, SiglipTokenizer
from transformers.convert_slow_tokenizer import T5Converter

import tiny_tokenizer

CONTEXT = 16
UNIGRAM_VOCAB, GEMMA_VOCAB = 400, 700
LINES = [t.format(x) for t in tiny_tokenizer.TEMPLATES for x in tiny_tokenizer.THINGS] + tiny_tokenizer.FOREIGN


def siglip() -> SiglipTokenizer:
    """The reference. Training is deterministic, so the SentencePiece model itself is not kept."""
    with tempfile.TemporaryDirectory() as d:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(line.lower() for line in LINES), model_prefix=f"{d}/spiece", model_type="unigram",
            vocab_size=UNIGRAM_VOCAB, hard_vocab_limit=False, num_threads=1, minloglevel=2, bos_id=-1, pad_id=0, eos_id=1,
            unk_id=2, pad_piece="<pad>", eos_piece="</s>", unk_piece="<unk>")
        tokenizer = SiglipTokenizer(f"{d}/spiece.model", model_max_length=CONTEXT)
        tokenizer._extra_ids = 0            # the converter for T5 asks
        tokenizer.json = T5Converter(tokenizer).converted().to_str()
        return tokenizer


def write_siglip(directory: Path):
    (directory / "tokenizer.json").write_text(siglip().json + "\n", encoding="utf-8")
    config = dict(eos_token="</s>", model_max_length=CONTEXT, pad_token="</s>", tokenizer_class="SiglipTokenizer",
                  unk_token="<unk>", do_lower_case=True)
    (directory / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n")


def gemma_merges(vocab, n):
    words = Counter()
    for line in LINES:
        for word in line.lower().split(" "):
            words[("▁", *word)] += 1
    merges = []
    while len(merges) < n:
        pairs = Counter()
        for word, count in words.items():
            for pair in itertools.pairwise(word):
                pairs[pair] += count
        best = min(pairs, key=lambda p: (-pairs[p], p))
        merges.append(best)
        vocab["".join(best)] = len(vocab)
        merged = Counter()
        for word, count in words.items():
            out, i = [], 0
            while i < len(word):
                both = word[i:i + 2] == best
                out.append("".join(best) if both else word[i])
                i += 2 if both else 1
            merged[tuple(out)] += count
        words = merged
    return merges


def siglip2(directory=None) -> Siglip2Tokenizer:
    """The reference, from a directory that `write_siglip2` wrote, or new."""
    if directory:
        return Siglip2Tokenizer.from_pretrained(directory)
    vocab = {t: i for i, t in enumerate(["<pad>", "<eos>", "<bos>", "<unk>", "<mask>"])}
    for b in range(256):
        vocab[f"<0x{b:02X}>"] = len(vocab)
    for c in ["▁", *sorted(set("".join(LINES).lower()) - {" "})]:
        vocab[c] = len(vocab)
    merges = gemma_merges(vocab, GEMMA_VOCAB - len(vocab))
    return Siglip2Tokenizer(vocab=vocab, merges=merges, add_bos_token=False, add_eos_token=True, padding_side="right",
                            model_max_length=CONTEXT)


def write_siglip2(directory: Path):
    siglip2().save_pretrained(directory)
    path = directory / "tokenizer.json"
    spec = json.loads(path.read_text(encoding="utf-8"))
    # On the hub the file is Gemma's, which keeps the case.
    assert spec["normalizer"]["normalizers"].pop(0) == {"type": "Lowercase"}, spec["normalizer"]
    path.write_text(json.dumps(spec, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")
    for extra in ("special_tokens_map.json", "tokenizer.model"):
        (directory / extra).unlink(missing_ok=True)
