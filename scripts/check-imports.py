#!/usr/bin/env python3
"""Import circles between the modules of a crate: none may use another that, by whatever way, uses it. Standard library only.

    check-imports.py [DIRECTORY]    the crate's src; default: the extension's

A file or a folder directly under src is a module. What uses what is said by `use` and by paths in code that begin with
`crate` or `super`. Tests do not count, and neither does the root, which names everybody. Circles between the files of one folder
are told and are no failure.
"""
import bisect
import os
import re
import sys

# What is no code: comments, strings, characters. A lifetime is no character.
NO_CODE = re.compile(r"""//[^\n]*|/\*.*?\*/|b?r(\#*)".*?"\1|[bc]?"(?:[^"\\]|\\.)*"|b?'(?:[^'\\]|\\[^u]|\\u\{[^}]*\}|\\x..)'""", re.S)
TOKEN = re.compile(r"[A-Za-z_]\w*|::|\$|[^\s\w]")


def tokens_of(text):
    """(token, line) of a file's code, without what is compiled for tests alone."""
    code = NO_CODE.sub(lambda found: re.sub(r"[^\n]", " ", found.group()), text)
    starts = [0] + [found.end() for found in re.finditer("\n", code)]
    found = [(token.group(), bisect.bisect_right(starts, token.start())) for token in TOKEN.finditer(code)]
    words, kept, i = [token for token, _ in found], [], 0
    while i < len(found):
        if words[i:i + 7] == ["#", "[", "cfg", "(", "test", ")", "]"]:
            # the item: to its semicolon, or to the end of its braces
            depth = 0
            while i < len(found):
                depth += {"{": 1, "}": -1}.get(words[i], 0)
                i += 1
                if depth == 0 and words[i - 1] in (";", "}"):
                    break
            continue
        kept.append(found[i])
        i += 1
    return kept


def tree(words, i, prefix):
    """The paths of a use tree that begins at i, and where it ends."""
    path, paths = list(prefix), []
    while i < len(words):
        word = words[i]
        if word == "{":
            i += 1
            while words[i] != "}":
                inner, i = tree(words, i, path)
                paths += inner
                if words[i] == ",":
                    i += 1
            return paths, i + 1
        if word == "as":
            i += 2
        elif word in (";", ",", "}"):
            break
        else:
            if word not in ("::", "*") and (word != "self" or not path):
                path.append(word)
            i += 1
    return [path], i


def paths_of(path, module):
    """(line, absolute path) of everything that a file names from `crate` on. `module`: the file's own path."""
    found = tokens_of(open(path, encoding="utf-8").read())
    words, inline, depth, i = [token for token, _ in found], [], 0, 0

    def absolute(names):
        here = module + [name for name, _ in inline]
        if names[0] == "crate":
            return names[1:]
        while names and names[0] in ("self", "super"):
            here = here[:-1] if names[0] == "super" else here
            names = names[1:]
        return here + names

    while i < len(found):
        word, line = found[i]
        if word == "{":
            depth += 1
        elif word == "}":
            depth -= 1
            if inline and inline[-1][1] == depth:
                inline.pop()
        elif word == "mod" and words[i + 2:i + 3] == ["{"]:
            inline.append((words[i + 1], depth))
        elif word == "use" and words[i + 1:i + 2] != ["<"]:  # which captures lifetimes
            paths, end = tree(words, i + 1, [])
            yield from ((line, absolute(names)) for names in paths if names[0] in ("crate", "self", "super"))
            i = end
            continue
        elif word in ("crate", "super", "self") and words[i + 1:i + 2] == ["::"] and words[i - 1:i] not in (["$"], ["::"]):
            names = [word]
            while words[i + 1:i + 2] == ["::"] and re.match(r"\w", words[i + 2]):
                names.append(words[i + 2])
                i += 2
            yield line, absolute(names)
        i += 1


def files_of(src):
    """The files of a crate and their paths as modules, the root's being empty."""
    for folder, _, names in sorted(os.walk(src)):
        inside = [] if folder == src else os.path.relpath(folder, src).split(os.sep)
        for name in sorted(names):
            if name.endswith(".rs"):
                stem = name.removesuffix(".rs")
                yield os.path.join(folder, name), inside if stem in ("mod", "lib", "main") else inside + [stem]


def circles(uses):
    """Groups of nodes that can all be reached from each other."""
    def reach(start):
        seen, left = set(), [start]
        while left:
            for node in uses.get(left.pop(), {}):
                if node not in seen:
                    seen.add(node)
                    left.append(node)
        return seen

    reached = {node: reach(node) for node in uses}
    return sorted({tuple(sorted(other for other in reached[node] if node in reached.get(other, ()))) for node in uses if node in reached[node]})


def tell(circle, uses):
    print("circle of " + ", ".join("::".join(node) for node in circle))
    for node in circle:
        for other in circle:
            for place, names in uses[node].get(other, {}).items():
                print(f"    {'::'.join(node)} uses {'::'.join(other)}: {place}: {', '.join(sorted(names))}")


def main():
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    src = os.path.normpath(sys.argv[1] if len(sys.argv) > 1 else os.path.join(root, "src"))
    files = list(files_of(src))
    if not files:
        sys.exit(f"no Rust file in {src}")
    known = {tuple(module) for _, module in files}
    modules, within = {}, {}
    for path, module in files:
        if not module:
            continue
        for line, target in paths_of(path, module):
            name = "::".join(target)
            # of items: the file that has them
            while target and tuple(target) not in known:
                target = target[:-1]
            place = f"{os.path.relpath(path, os.path.dirname(src))}:{line}"
            if not target or target == module:
                continue
            uses, node, other = within, tuple(module), tuple(target)
            if target[0] != module[0]:
                uses, node, other = modules, node[:1], other[:1]
            uses.setdefault(node, {}).setdefault(other, {}).setdefault(place, set()).add(name)
    inner, outer = circles(within), circles(modules)
    if inner:
        print("Between files of one folder, no failure:")
        for circle in inner:
            tell(circle, within)
        print()
    for circle in outer:
        tell(circle, modules)
    count = len({module[0] for _, module in files if module})
    print(f"{count} modules, {sum(map(len, modules.values()))} pairs of which one uses the other, {len(outer)} circles between them")
    sys.exit(bool(outer))


if __name__ == "__main__":
    main()
