"""Pairs of a word and what WordNet says of it, for the text tower alone: a word that no emoji's list holds still finds its kin.

These pairs know nothing of emoji. They are of the first sense of nouns, verbs and adjectives that WordNet's own corpus contains."""
import re


def lexicon(folder):
    """[(word, [synonyms and next hypernyms], gloss)], from WordNet's files."""
    out = []
    for part in ("noun", "verb", "adj"):
        words, up, gloss = {}, {}, {}
        for line in open(folder / f"data.{part}", encoding="latin1"):
            if not line.startswith("  "):
                head, text = line.split("|", 1)
                f = head.split()
                n = int(f[3], 16)
                words[f[0]] = [re.sub(r"\(.*?\)", "", f[4 + 2 * i]).replace("_", " ").lower() for i in range(n)]
                p = f[5 + 2 * n:]
                up[f[0]] = [p[4 * i + 1] for i in range(int(f[4 + 2 * n])) if p[4 * i] in ("@", "&") and p[4 * i + 2] in "nvas"]
                gloss[f[0]] = re.sub(r"\(.*?\)", "", text.split('"')[0]).split(";")[0].strip()
        for line in open(folder / f"index.{part}", encoding="latin1"):
            f = line.split()
            if line.startswith("  ") or not re.fullmatch(r"[a-z]{3,}([_-][a-z]{2,})?", f[0]) or f[-int(f[2]) - 1] == "0":
                continue                                    # 0: no sense of it was met in WordNet's corpus
            word, sense = f[0].replace("_", " "), f[-int(f[2])]
            kin = [w for s in [sense] + up[sense] for w in words.get(s, ()) if w != word]
            out.append((word, list(dict.fromkeys(kin)), gloss[sense]))
    return out


def draw(entries, count, rng):
    """Two lists: words, and of each a synonym, a hypernym or its gloss."""
    chosen = rng.sample(entries, count)
    return [w for w, _, _ in chosen], [rng.choice(kin) if kin and rng.random() < 0.6 else gloss for _, kin, gloss in chosen]
