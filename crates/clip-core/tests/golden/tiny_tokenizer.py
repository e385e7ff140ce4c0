"""A CLIP tokenizer of 1000 tokens: OpenAI's pipeline and vocabulary layout, merges learned from a few captions.

Layout, as OpenAI's: 256 bytes, the same 256 at the end of a word, merges in rank order, begin, end.
"""
import itertools
import json
from collections import Counter
from pathlib import Path

from tokenizers import Regex, Tokenizer, normalizers, pre_tokenizers
from tokenizers.models import BPE

VOCAB = 1000
BOS, EOS = "<|startoftext|>", "<|endoftext|>"
SPLIT = r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"

TEMPLATES = ["a photo of a {}", "a drawing of the {}", "two {}s in the park", "{}s and people near the water, at night",
             "the small red {} is standing on a green table", "there isn't a {} here; it's been taken away!"]
THINGS = ["dog", "cat", "horse", "bicycle", "train", "airplane", "teapot", "mountain", "house", "flower", "elephant",
          "traffic light", "skateboard", "umbrella", "wooden boat", "computer keyboard", "pizza", "strawberry",
          "firefighter", "lighthouse", "kitchen sink", "giraffe", "orange", "sandwich", "surfboard", "snowman",
          "butterfly", "guitar", "violin", "penguin", "squirrel", "tractor", "helicopter", "scissors", "telescope",
          "backpack", "waterfall", "volcano", "desert", "castle", "bridge", "zebra", "jigsaw puzzle", "wizard",
          "quilt", "yellow submarine", "chocolate cake", "birthday candle", "refrigerator", "microwave", "parking meter",
          "fire hydrant", "teddy bear", "tennis racket", "baseball glove", "wine glass", "potted plant", "dining table"]
# a little of other scripts, so that merges join bytes within a character and across characters too
FOREIGN = ["собака и кошка", "собака у дома", "kočka a pes", "für die Straße", "für die Katze", "café à l'ombre",
           "猫と犬", "猫の写真", "😀😀", "😀 👍", "مرحبا", "मेरी बिल्ली"]


def pipeline():
    """The normalizer and the two splits of OpenAI's tokenizer."""
    normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()])
    pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(SPLIT), behavior="removed", invert=True),
        pre_tokenizers.ByteLevel(add_prefix_space=False)])
    return normalizer, pre_tokenizer


def byte_alphabet() -> list[str]:
    """GPT-2's printable stand-ins for the 256 bytes, in the order of CLIP's vocabulary: printable bytes first."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    return [chr(b) for b in printable] + [chr(0x100 + i) for i in range(256 - len(printable))]


def learn_merges(n: int) -> list[tuple[str, str]]:
    """Plain byte-pair learning; ties go to the alphabetically first pair, so that the result never varies."""
    normalizer, pre_tokenizer = pipeline()
    words = Counter()
    for text in [t.format(x) for t in TEMPLATES for x in THINGS] + FOREIGN:
        for piece, _ in pre_tokenizer.pre_tokenize_str(normalizer.normalize_str(text)):
            words[(*piece[:-1], piece[-1] + "</w>")] += 1
    merges = []
    while len(merges) < n:
        pairs = Counter()
        for word, count in words.items():
            for pair in itertools.pairwise(word):
                pairs[pair] += count
        best = min(pairs, key=lambda p: (-pairs[p], p))
        merges.append(best)
        merged = Counter()
        for word, count in words.items():
            out, i = [], 0
            while i < len(word):
                if word[i:i + 2] == best:
                    out.append(word[i] + word[i + 1])
                    i += 2
                else:
                    out.append(word[i])
                    i += 1
            merged[tuple(out)] += count
        words = merged
    return merges


def tokenizer_files(context_length: int) -> dict[str, str]:
    """The files of the tokenizer, by name: tokenizer.json and tokenizer_config.json."""
    alphabet = byte_alphabet()
    merges = learn_merges(VOCAB - 2 * len(alphabet) - 2)
    tokens = alphabet + [c + "</w>" for c in alphabet] + ["".join(m) for m in merges] + [BOS, EOS]
    vocab = {token: i for i, token in enumerate(tokens)}
    assert len(vocab) == VOCAB

    tokenizer = Tokenizer(BPE(vocab=vocab, merges=merges, continuing_subword_prefix="", end_of_word_suffix="</w>",
                              fuse_unk=False, unk_token=EOS))
    tokenizer.normalizer, tokenizer.pre_tokenizer = pipeline()
    spec = json.loads(tokenizer.to_str())
    spec["added_tokens"] = [dict(id=vocab[t], content=t, single_word=False, lstrip=False, rstrip=False,
                                 normalized=False, special=True) for t in (BOS, EOS)]
    spec["post_processor"] = dict(type="RobertaProcessing", sep=[EOS, vocab[EOS]], cls=[BOS, vocab[BOS]],
                                  trim_offsets=False, add_prefix_space=False)
    spec["decoder"] = dict(type="ByteLevel", add_prefix_space=True, trim_offsets=True, use_regex=True)
    config = dict(backend="tokenizers", bos_token=BOS, eos_token=EOS, model_max_length=context_length, pad_token=EOS,
                  tokenizer_class="CLIPTokenizer", unk_token=EOS)
    return {"tokenizer.json": json.dumps(spec, ensure_ascii=False, separators=(",", ":")) + "\n",
            "tokenizer_config.json": json.dumps(config, indent=2) + "\n"}


def write(directory: Path, context_length: int = 77):
    for name, text in tokenizer_files(context_length).items():
        (directory / name).write_text(text, encoding="utf-8")
