#!/usr/bin/env python3
"""A preprocessor of mdBook: links of docs/ that leave it. Standard library only.

In the repository such a link leads to a file, which the site does not have. There it becomes an address below REPOSITORY_URL
(https://.../blob/main), or where that is not set the file's name.
"""
import json
import os
import posixpath
import re
import sys

LINK = re.compile(r"\[([^\]]*)\]\(((?:\.\./)+[^)\s]+)\)")


def outside(page, base):
    """The page's text with links that stay in docs/ as they are."""
    folder = posixpath.join("docs", posixpath.dirname(page["path"] or ""))

    def changed(link):
        target, _, anchor = link[2].partition("#")
        path = posixpath.normpath(posixpath.join(folder, target))
        if path.startswith("docs/"):
            return link[0]
        if base:
            return f"[{link[1]}]({base}/{path}{'#' + anchor if anchor else ''})"
        return link[1] if posixpath.basename(path) in link[1] else f"{link[1]} (`{path}`)"
    return LINK.sub(changed, page["content"])


def walk(items, base):
    for item in items:
        page = item.get("Chapter") if isinstance(item, dict) else None
        if page:
            page["content"] = outside(page, base)
            walk(page["sub_items"], base)


if sys.argv[1:2] == ["supports"]:
    sys.exit(0)
_, book = json.load(sys.stdin)
walk(book["items"] if "items" in book else book["sections"], os.environ.get("REPOSITORY_URL", "").rstrip("/"))
json.dump(book, sys.stdout)
