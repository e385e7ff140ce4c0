"""Concepts and their texts: emojibase in 14 languages, emojilib, WordNet; the held-out keywords; the sampling of training texts."""
import random
import re
import unicodedata
from pathlib import Path

from sources import ICONS, bare, icon_pictures, key, read

LANGUAGES = "de fr es it pt nl sv da nb fi pl hu ru uk".split()
SEED = 7                    # of the choice of held-out keywords
TEMPLATES = ["a picture of {}", "an icon of {}", "a drawing of {}", "{} emoji", "{} icon", "the {} symbol", "a {}", "a photo of a {}",
             "something like {}", "pictogram: {}", "{} clipart", "an image showing {}"]
# WordNet's top: words that tell nothing
STOP = set("entity;physical entity;object;physical object;whole;unit;artifact;artefact;abstraction;abstract entity;matter;living thing;"
           "animate thing;being;organism;causal agent;cause;causal agency;instrumentality;instrumentation;psychological feature;attribute;"
           "state;thing;measure;relation;group;grouping;soul;someone;somebody;mortal;individual;event".split(";"))
# icon names that mean something else than the emoji of that name
MISLEADING = {"mouse", "a", "b", "o", "x", "i", "m", "back", "on", "end", "top", "soon", "id", "new", "free", "cool", "up", "input", "windows",
              "seal", "cricket", "pick", "cancer", "bat", "net", "fly"}


def norm(s):
    s = unicodedata.normalize("NFC", s).lower().replace("_", " ").replace("“", "").replace("”", "").replace("’", "'")
    return re.sub(r"\s+", " ", s).strip(" .,:;-")


def uniq(texts, drop=()):
    return [t for t in dict.fromkeys(norm(t) for t in texts) if t and t not in drop]


def words(text):
    return set(re.findall(r"\w+", text))


class WordNet:
    """Synonyms, hypernyms and the gloss of a noun's first sense."""
    def __init__(self, folder):
        self.synonyms, self.up, self.gloss, self.first = {}, {}, {}, {}
        for line in open(folder / "data.noun", encoding="latin1"):
            if not line.startswith("  "):
                head, gloss = line.split("|", 1)
                f = head.split()
                n = int(f[3], 16)
                self.synonyms[f[0]] = [f[4 + 2 * i].replace("_", " ").lower() for i in range(n)]
                p = f[5 + 2 * n:]
                self.up[f[0]] = [p[4 * i + 1] for i in range(int(f[4 + 2 * n])) if p[4 * i] in ("@", "@i")]
                self.gloss[f[0]] = re.sub(r"\(.*?\)", "", gloss.split('"')[0]).split(";")[0]
        for line in open(folder / "index.noun", encoding="latin1"):
            if not line.startswith("  "):
                f = line.split()
                self.first[f[0].replace("_", " ")] = f[-int(f[2])]

    def sense(self, word):
        return self.first.get(word) or (self.first.get(word[:-1]) if word.endswith("s") else None)

    def related(self, word):
        at = self.sense(word)
        if not at:
            return [], []
        out, level = list(self.synonyms[at]), [at]
        for _ in range(3):
            level = [q for x in level for q in self.up[x] if q in self.synonyms]
            out += [s for x in level for s in self.synonyms[x]]
        return uniq(s for s in out if s not in STOP and s != word), uniq([self.gloss[at]])


def emoji_concepts(folder, wordnet):
    folder = Path(folder)
    load = lambda lang: {key(e["hexcode"]): e for e in read(folder / f"emojibase-data/{lang}/data.json")}
    english, british, others = load("en"), load("en-gb"), {lang: load(lang) for lang in LANGUAGES}
    groups, subgroups = ({m["order"]: m["message"] for m in read(folder / "emojibase-data/en/messages.json")[k]} for k in ("groups", "subgroups"))
    lib = {key("-".join(f"{ord(c):x}" for c in emoji)): w for emoji, w in read(folder / "emojilib/dist/emoji-en-US.json").items()}
    out = []
    for k, e in english.items():
        if e.get("group") in (None, 2):                    # 2: components, such as skin tones and hair
            continue
        label = uniq([e["label"]])[0]
        gb = british.get(k, {})
        tags = [t for t in uniq(e.get("tags", []) + lib.get(k, []) + gb.get("tags", [])) if t != label]
        related, gloss = wordnet.related(label.split(":")[0])
        if not related and e["group"] in (3, 4, 5, 6, 7):    # 'sports shoe' is a shoe; not so for faces and people
            related, _ = wordnet.related(label.split(":")[0].split()[-1])
        out.append(dict(key=k, label=label, labels=uniq([label, gb.get("label", label)]), tags=tags, own=uniq(e.get("tags", [])),
                        related=[w for w in related if w not in tags and w != label], gloss=gloss, group=e["group"],
                        kinds=uniq([subgroups[e["subgroup"]], groups[e["group"]]]),
                        flag=e["group"] == 9 and len(k) > 6 and k.startswith("1f1"), held=[],
                        languages={l: [uniq([d[k]["label"]]), uniq(d[k].get("tags", []))] for l, d in others.items() if k in d}))
    hold_out(out)
    return out


def hold_out(concepts):
    """Takes one or two rarer English keywords of about 10 % of the concepts out of every text source of their concept."""
    rng, count = random.Random(SEED), {}
    for c in concepts:
        for t in c["tags"]:
            count[t] = count.get(t, 0) + 1
    for c in concepts:
        if not c["flag"] and rng.random() < 0.13:
            good = [t for t in c["own"] if count.get(t, 9) <= 8 and t.isascii() and t.replace(" ", "").replace("-", "").isalpha()
                    and len(t) > 2 and not words(c["label"]) & words(t)]
            if len(c["tags"]) >= 4 and good:
                c["held"] = rng.sample(good, min(len(good), 2 if len(good) > 3 else 1))
                strip(c, c["held"])
        del c["own"]


def strip(c, held):
    for field in ("tags", "related", "labels", "kinds"):
        c[field] = [t for t in c[field] if t not in held]
    c["gloss"] = [t for t in c["gloss"] if not any(words(h) <= words(t) for h in held)]
    languages = {l: [[t for t in texts if t not in held] for texts in both] for l, both in c["languages"].items()}
    c["languages"] = {l: both for l, both in languages.items() if both[0]}


def icon_concepts(folder, wordnet, emoji):
    """Further concepts, and [(style, concept, svg)]: icons named like an emoji are pictures of that emoji; others that WordNet
    knows as a noun are concepts of their own; the rest is left out."""
    index = {bare(t): i for i, c in reversed(list(enumerate(emoji))) for t in c["labels"]}
    held = [(words(c["label"]), c["held"]) for c in emoji if c["held"]]
    out, pictures = [], []
    for style in ICONS:
        for name, svg in icon_pictures(folder, style):
            if name in MISLEADING or len(name) < 3:
                continue
            if bare(name) not in index:
                if not wordnet.sense(name):
                    continue
                related, gloss = wordnet.related(name)
                c = dict(key="icon:" + name, label=name, labels=[name], tags=[], related=related, gloss=gloss, group=99, kinds=[], flag=False,
                         held=[], languages={})
                for w, h in held:                          # a like-named emoji's held-out keywords stay unseen here too
                    if w & words(name):
                        strip(c, h)
                if not c["labels"]:
                    continue
                index[bare(name)] = len(emoji) + len(out)
                out.append(c)
            pictures.append((style, index[bare(name)], svg))
    return out, pictures


class Sampler:
    """Draws a text of a concept, with the weight of every concept that the text also describes: no false negatives."""
    def __init__(self, concepts, other_languages=0.3):
        self.concepts, self.other, self.where = concepts, other_languages, {}
        for i, c in enumerate(concepts):
            for weight, texts in [(1.0, c["labels"]), (0.3, c["tags"] + c["kinds"] + c["related"] + c["gloss"])] + \
                                 [(w, t) for both in c["languages"].values() for w, t in zip((1.0, 0.3), both)]:
                for t in texts:
                    self.where.setdefault(t, {}).setdefault(i, weight)

    def draw(self, i, rng):
        c = self.concepts[i]
        if c["languages"] and rng.random() < self.other:
            (labels, tags), more, gloss = c["languages"][rng.choice(list(c["languages"]))], [], []
        else:
            labels, tags, more, gloss = c["labels"], c["tags"], c["related"] if rng.random() < 0.7 or not c["kinds"] else c["kinds"], c["gloss"]
        r = rng.random()
        if r < 0.40 or not (tags or more):
            parts = [rng.choice(labels)]
        elif r < 0.65 and tags:
            parts = [rng.choice(tags)]
        elif r < 0.86 and tags or not (more or gloss):
            parts = rng.sample(labels[:1] + tags, min(len(tags) + 1, rng.choice((2, 2, 3))))
        elif gloss and (r > 0.96 or not more):
            parts = [rng.choice(gloss)]
        else:
            parts = [rng.choice(more)]
        of = dict(self.where[parts[0]])
        for p in parts[1:]:
            of = {j: w for j, w in of.items() if j in self.where[p]}
        of = {j: (w if len(parts) == 1 else 0.3) for j, w in of.items()} | {i: 1.0}
        text = rng.choice((" ", " ", ", ", " and ")).join(parts)
        if rng.random() < 0.25 and len(text) < 40:
            text = rng.choice(TEMPLATES).format(text)
        return text, of
