#!/usr/bin/env python3
"""The weights are mapped: sessions share one copy, and a session that embeds only text does not touch the vision tower."""
import re

from pg import Session, fresh_database, hexed, png

db = fresh_database("clip_shared")


def mapped(session):
    """Kilobytes of the weights file in a session's memory: all, and those that are its own."""
    resident = own = 0
    inside = False
    with open(f"/proc/{session.pid}/smaps") as file:
        for line in file:
            if re.match(r"[0-9a-f]+-[0-9a-f]+ ", line):
                inside = "/weights." in line
            elif inside and line.startswith("Rss:"):
                resident += int(line.split()[1])
            elif inside and line.startswith(("Private_Dirty:", "Anonymous:")):
                own += int(line.split()[1])
    return resident, own


with Session(db) as text, Session(db) as both:
    for session in (text, both):
        assert mapped(session) == (0, 0), "weights before the first use"
        session.run("SELECT clip_embed_text('a cat') IS NULL")
    words, own = mapped(text)
    assert words > 0 and own == 0, (words, own)
    both.run(f"SELECT clip_embed_image({hexed(png(64, 64))}) IS NULL")
    whole, own = mapped(both)
    assert own == 0, own
    assert words < whole / 2, f"text alone maps {words} kB, text and images {whole} kB"
    assert mapped(text)[0] == words, "another session's work changed this one's memory"
    print(f"weights in memory: {words} kB after a text, {whole} kB after an image too, {own} kB of them private")
