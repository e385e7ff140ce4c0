#!/usr/bin/env python3
"""demo.py OUT_DIR: fills a table with the demo's pictures and their names, searches it, and writes OUT_DIR/index.html.

Uses the server of PGHOST, PGPORT, PGUSER through psql, as any client would: the image bytes travel in a COPY.
"""
import base64
import html
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PICTURES = sorted((ROOT / "models" / "demo" / "pictures").glob("*.png"))
TEXTS = ["something sweet to eat", "an animal of the sea", "it is raining today", "we went by train", "a musical instrument",
         "I am so happy", "wild animals of Africa", "fresh fruit", "a sport with a ball", "tools for the office"]
WORDS = ["broken heart", "fruit", "a dog", "musical instrument", "Pferd", "poisson"]
EXAMPLES = ["horse", "cherries", "bullet-train"]


def psql(sql, stdin=None, *options):
    return subprocess.run(["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", *options, "-c", sql], input=stdin, text=True,
                          check=True, stdout=subprocess.PIPE).stdout


def rows(sql):
    return [line.split("\t") for line in psql(sql, None, "-A", "-t", "-F", "\t").splitlines() if line]


def quoted(text):
    return "'" + text.replace("'", "''") + "'"


def name(path):
    return path.stem.replace("-", " ")


def picture(stem):
    path = ROOT / "models" / "demo" / "pictures" / f"{stem}.png"
    return path, "'\\x" + path.read_bytes().hex() + "'::bytea"


class Page:
    """Shows each answer on the terminal and keeps it for the page."""

    def __init__(self):
        self.parts = []

    def section(self, title, sql, says):
        print(f"\n{title}\n    {sql}")
        self.parts.append(f"<h2>{html.escape(title)}</h2><pre>{html.escape(sql)}</pre><p>{html.escape(says)}</p>")

    def answer(self, query, found):
        """query and items: a text, or a picture's file name."""
        print(f"  {query}")
        for modality, item, distance in found:
            print(f"      {float(distance):.3f}  {modality:<6} {item}")
        cells = "".join(f"<figure>{self.show(modality, item)}<figcaption>{float(distance):.3f}</figcaption></figure>"
                        for modality, item, distance in found)
        kind = "image" if query.endswith(".png") else "text"
        self.parts.append(f'<div class="row"><div class="query">{self.show(kind, query)}</div>{cells}</div>')

    @staticmethod
    def show(modality, item):
        if modality == "text":
            return f'<span class="text">{html.escape(item)}</span>'
        data = base64.b64encode((ROOT / "models" / "demo" / "pictures" / item).read_bytes()).decode()
        return f'<img alt="{html.escape(item)}" title="{html.escape(item)}" src="data:image/png;base64,{data}">'

    def plan(self, text):
        print("\n" + text)
        self.parts.append(f"<h2>The index serves it</h2><pre>{html.escape(text)}</pre>")

    def write(self, path, summary):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"""<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>pg_clip demo</title><style>
:root {{ color-scheme: light dark; }}
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }}
pre {{ padding: .7rem 1rem; border-radius: .5rem; overflow-x: auto; background: color-mix(in srgb, currentColor 8%, transparent); }}
.row {{ display: flex; flex-wrap: wrap; gap: .7rem; align-items: center; padding: .7rem 0; border-top: 1px solid color-mix(in srgb, currentColor 20%, transparent); }}
.query {{ width: 9rem; font-weight: 600; }}
figure {{ margin: 0; width: 7rem; text-align: center; }}
figcaption {{ font-size: .8rem; opacity: .7; }}
img {{ width: 72px; height: 72px; padding: 6px; background: #fff; border-radius: .5rem; }}
.text {{ display: inline-block; min-height: 3rem; align-content: center; }}
footer {{ margin: 3rem 0; font-size: .8rem; opacity: .7; }}
</style><h1>pg_clip: pictures and texts, one ORDER BY</h1><p>{html.escape(summary)}</p>{"".join(self.parts)}
<footer>Pictures: OpenMoji, CC BY-SA 4.0, a drawing style that the model never saw in training. Distances are cosine distances.</footer></html>
""")


def main():
    out = Path(sys.argv[1]) / "index.html"
    psql("SET client_min_messages = warning; CREATE EXTENSION pg_clip CASCADE")
    psql("SELECT clip_create_table('items')")
    start = time.monotonic()
    psql("COPY items (modality, content_ref, image) FROM STDIN",
         "".join(f"image\t{p.name}\t\\\\x{p.read_bytes().hex()}\n" for p in PICTURES))
    seconds = time.monotonic() - start
    texts = [name(p) for p in PICTURES] + TEXTS
    psql("COPY items (modality, content_ref) FROM STDIN", "".join(f"text\t{text}\n" for text in texts))
    psql("ANALYZE items")
    model = rows("SELECT model || ' (' || dimensions || ' dimensions)' FROM clip.tables")[0][0]
    summary = (f"{len(PICTURES)} pictures and {len(texts)} texts in one table, model {model}; "
               f"the pictures were inserted and embedded in {seconds:.1f} s ({seconds * 1000 / len(PICTURES):.1f} ms each).")
    print(summary)
    page = Page()

    # An index answers a filtered query in full only when it may look further: pgvector 0.8.
    def search(query, where, limit=6):
        return rows("SET hnsw.iterative_scan = strict_order; SELECT modality, content_ref, embedding <=> " + query +
                    f" FROM items {where} ORDER BY embedding <=> {query} LIMIT {limit}")

    page.section("Words find pictures", "SELECT content_ref FROM items WHERE modality = 'image' ORDER BY embedding <=> clip_query('items', $1) LIMIT 6",
                 "Texts in several languages against the pictures.")
    for words in WORDS:
        page.answer(words, search(f"clip_query('items', {quoted(words)}::text)", "WHERE modality = 'image'"))
    page.section("A picture finds pictures", "SELECT content_ref FROM items WHERE modality = 'image' ORDER BY embedding <=> clip_query('items', $1::bytea) LIMIT 6",
                 "The picture itself comes first, at distance 0.")
    for stem in EXAMPLES:
        path, data = picture(stem)
        page.answer(path.name, search(f"clip_query('items', {data})", "WHERE modality = 'image'"))
    page.section("A picture finds words", "SELECT content_ref FROM items WHERE modality = 'text' ORDER BY embedding <=> clip_query('items', $1::bytea) LIMIT 6",
                 "The same query over the texts.")
    for stem in EXAMPLES:
        path, data = picture(stem)
        page.answer(path.name, search(f"clip_query('items', {data})", "WHERE modality = 'text'"))
    page.section("Everything in one list", "SELECT modality, content_ref FROM items ORDER BY embedding <=> clip_query('items', $1) LIMIT 6",
                 "Texts and pictures mixed.")
    page.answer("fruit", search("clip_query('items', 'fruit'::text)", "", 8))
    path, data = picture("horse")
    page.answer(path.name, search(f"clip_query('items', {data})", "", 8))
    page.plan(psql("EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) SELECT content_ref FROM items ORDER BY embedding <=> clip_query('items', 'fruit'::text) LIMIT 6", None, "-A", "-t"))
    page.write(out, summary)
    print(f"The answers with their pictures: {out}")


main()
