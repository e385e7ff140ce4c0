#!/usr/bin/env python3
"""Rules of the documents: short sentences, paragraphs and lines, and links that lead somewhere. Standard library only.

    check-docs.py           README.md, ARCHITECTURE.md, CONTRIBUTING.md, SECURITY.md and docs/

A sentence has at most 25 words, a paragraph or an item of a list at most 4 sentences, a line at most 100 characters. Blocks of code,
tables and addresses are left out. README.md has at most 150 lines, ARCHITECTURE.md at most 100. Each relative link names a file
and, after "#", a heading of it. Files of the repository that a text names in `code` exist, by their path or the end of it. Every page
of docs/ stands in docs/SUMMARY.md.
"""
import glob
import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
MOST_WORDS, MOST_SENTENCES, MOST_CHARACTERS = 25, 4, 100
MOST_LINES = {"README.md": 150, "ARCHITECTURE.md": 100}

LINK = re.compile(r"!?\[([^\]]*)\]\(([^)\s]+)\)")
CODE = re.compile(r"(`+)(?!`).*?(?<!`)\1(?!`)")
ADDRESS = re.compile(r"<?https?://[^\s>)]+>?")
# A file of the repository, as texts name it. What is in capitals stands for a name.
FILE = re.compile(r"(?<!\[)`((?:[a-z0-9_.-]+/)*[a-z0-9_.-]+\.(?:rs|py|sql|sh|toml))`")
FOLDERS = ("bench", "crates", "docs", "fuzz", "models", "pg_test", "scripts", "sql", "src")
HEADING = re.compile(r"(#{1,6})\s+(.*?)\s*#*$")
# A line that cannot be broken.
WHOLE_LINK = re.compile(r"[\s*-]*!?\[[^\]]*\]\([^)]*\)[.,:]?\s*")
ITEM = re.compile(r"\s*(?:[-*+]|\d+\.)\s+")
# The end of a sentence, and not of an abbreviation or a number.
END = re.compile(r"(?<![A-Z])[.!?][\"')\]*_]*(?=\s+[^\sa-z]|\s+code|\s*$)")


def documents():
    pages = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md"]
    pages += sorted(os.path.relpath(page, ROOT) for page in glob.glob(os.path.join(ROOT, "docs", "**", "*.md"), recursive=True))
    return pages


def slug(heading):
    """The anchor of a heading, as GitHub and mdBook make it."""
    heading = LINK.sub(r"\1", heading)
    heading = re.sub(r"[^\w\- ]", "", heading.replace("`", "").strip().lower())
    return heading.replace(" ", "-")


class Page:
    """A document in parts: lines outside of code, paragraphs, headings, links."""

    def __init__(self, path):
        self.path = path
        with open(os.path.join(ROOT, path), encoding="utf-8") as file:
            self.lines = file.read().splitlines()
        self.paragraphs, self.anchors, self.links, self.prose, self.sql = [], set(), [], [], 0
        fence, paragraph, counts = None, [], {}

        def close():
            if paragraph:
                self.paragraphs.append((paragraph[0][0], " ".join(text for _, text in paragraph)))
                paragraph.clear()

        for number, line in enumerate(self.lines, 1):
            mark = re.match(r"\s*(```+|~~~+)(\S*)", line)
            if fence:
                if mark and mark[1].startswith(fence) and not mark[2]:
                    fence = None
                continue
            if mark:
                close()
                fence = mark[1]
                self.sql += mark[2].split(",")[0] == "sql"
                continue
            for found in LINK.finditer(CODE.sub("", line)):
                self.links.append((number, found[2]))
            if line.lstrip().startswith("|"):
                close()
                continue
            self.prose.append((number, line))
            heading = HEADING.match(line)
            if heading:
                close()
                name = slug(heading[2])
                counts[name] = counts.get(name, -1) + 1
                self.anchors.add(name if counts[name] == 0 else f"{name}-{counts[name]}")
            elif not line.strip():
                close()
            else:
                if ITEM.match(line) or line.startswith(">") and not paragraph:
                    close()
                paragraph.append((number, ITEM.sub("", line.lstrip("> "), count=1) if ITEM.match(line) else line.strip("> ")))
        close()


def sentences(text):
    """As lists of words. A piece of code, like an address, is one word."""
    text = CODE.sub(" code ", text)
    text = ADDRESS.sub("address", LINK.sub(r"\1", text))
    found, begin = [], 0
    for end in END.finditer(text):
        found.append(text[begin:end.end()])
        begin = end.end()
    found.append(text[begin:])
    words = [[word for word in sentence.split() if re.search(r"\w", word)] for sentence in found]
    return [sentence for sentence in words if sentence]


def check(pages):
    """(place, what is wrong), and what there is to count."""
    wrong, longest = [], {"sentence": (0, ""), "paragraph": (0, "")}
    links = 0
    for path, page in pages.items():
        most = MOST_LINES.get(path)
        if most and len(page.lines) > most:
            wrong.append((path, f"{len(page.lines)} lines: expected {most} at most"))
        for number, line in page.prose:
            length = len(ADDRESS.sub("", line))
            if length > MOST_CHARACTERS and not WHOLE_LINK.fullmatch(line):
                wrong.append((f"{path}:{number}", f"{length} characters: expected {MOST_CHARACTERS} at most"))
        for number, text in page.paragraphs:
            found, place = sentences(text), f"{path}:{number}"
            longest["paragraph"] = max(longest["paragraph"], (len(found), place))
            if len(found) > MOST_SENTENCES:
                wrong.append((place, f"{len(found)} sentences: expected {MOST_SENTENCES} at most"))
            for words in found:
                longest["sentence"] = max(longest["sentence"], (len(words), place))
                if len(words) > MOST_WORDS:
                    wrong.append((place, f"{len(words)} words: expected {MOST_WORDS} at most: {' '.join(words[:8])} ..."))
        for number, target in page.links:
            if re.match(r"[a-z]+:", target):
                continue
            links += 1
            file, _, anchor = target.partition("#")
            file = os.path.normpath(os.path.join(os.path.dirname(path), file)) if file else path
            if not os.path.exists(os.path.join(ROOT, file)):
                wrong.append((f"{path}:{number}", f"link to {target}: there is no {file}"))
            elif anchor and anchor not in anchors(pages, file):
                wrong.append((f"{path}:{number}", f"link to {target}: {file} has no such heading"))
    return wrong, longest, links


def anchors(pages, file):
    return (pages.get(file) or Page(file)).anchors


def missing_files(pages):
    """Files that are named, and are not there any more."""
    there = {os.path.relpath(os.path.join(folder, name), ROOT).replace(os.sep, "/")
             for top in FOLDERS for folder, _, names in os.walk(os.path.join(ROOT, top)) for name in names}
    there |= set(os.listdir(ROOT))
    ends = {path.split("/", n)[-1] for path in there for n in range(path.count("/") + 1)}
    return [(f"{path}:{number}", f"there is no file {name}") for path, page in pages.items() for number, line in enumerate(page.lines, 1)
            for name in FILE.findall(line) if name not in ends]


def missing_in_summary(pages):
    """Pages of docs/ that the site would not have."""
    summary = pages.get(os.path.join("docs", "SUMMARY.md"))
    if not summary:
        return []
    named = {os.path.normpath(os.path.join("docs", target.split("#")[0])) for _, target in summary.links}
    return [(path, "is not in docs/SUMMARY.md") for path in pages
            if path.startswith("docs" + os.sep) and path not in named and path != summary.path]


def test():
    assert [len(s) for s in sentences("One two. Three `a. b` four! It is 0.8 or later. Of A. B")] == [2, 3, 5, 3]
    assert slug("Why is `image` NULL after my INSERT?") == "why-is-image-null-after-my-insert"
    assert [len(s) for s in sentences("See [the list](a.md), please: `code`. `clip_query` reads it.")] == [5, 3]


test()
PAGES = {path: Page(path) for path in documents()}
WRONG, LONGEST, LINKS = check(PAGES)
WRONG += missing_in_summary(PAGES) + missing_files(PAGES)
for where, what in WRONG:
    print(f"{where}: {what}", file=sys.stderr)
print(f"documents: {len(PAGES)} pages, {sum(len(page.lines) for page in PAGES.values())} lines "
      f"(README.md {len(PAGES['README.md'].lines)}, ARCHITECTURE.md {len(PAGES['ARCHITECTURE.md'].lines)}), "
      f"longest sentence {LONGEST['sentence'][0]} words ({LONGEST['sentence'][1]}), "
      f"longest paragraph {LONGEST['paragraph'][0]} sentences ({LONGEST['paragraph'][1]}), "
      f"{sum(page.sql for page in PAGES.values())} SQL blocks, {LINKS} relative links, {len(WRONG)} faults")
sys.exit(bool(WRONG))
