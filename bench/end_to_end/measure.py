#!/usr/bin/env python3
"""Runs a way of the comparison and adds the most memory that it took, with the server: a line of JSON, added to FILE.

    measure.py NAME FILE SERVER_PID COMMAND...

Memory is the sum of the proportional set sizes (PSS) of the command's processes and the server's, five times a second: pages that
several processes share are counted once.
"""
import json
import subprocess
import sys
import threading
from collections import defaultdict
from pathlib import Path

PERIOD = 0.2


def children():
    """pid -> those of its children"""
    found = defaultdict(list)
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            # the name, in parentheses, may hold anything
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        found[parent].append(int(stat.parent.name))
    return found


def tree(roots):
    known, found = children(), []
    waiting = list(roots)
    while waiting:
        pid = waiting.pop()
        found.append(pid)
        waiting += known[pid]
    return found


def pss(pid):
    """In bytes; nothing of a process that is gone."""
    try:
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in rollup.splitlines() if line.startswith("Pss:"))


class Peak(threading.Thread):
    def __init__(self, roots):
        super().__init__(daemon=True)
        self.roots, self.ended, self.bytes = roots, threading.Event(), 0

    def run(self):
        while not self.ended.wait(PERIOD):
            self.bytes = max(self.bytes, sum(pss(pid) for pid in tree(self.roots)))


def main():
    name, out, server, *command = sys.argv[1:]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        peak = Peak([int(server), process.pid])
        peak.start()
        output = process.communicate()[0]
    peak.ended.set()
    peak.join()
    if process.returncode:
        raise SystemExit(f"{name} failed")
    with open(out, "a", encoding="utf-8") as file:
        for line in output.splitlines():
            file.write(json.dumps({"name": name, "peak": peak.bytes} | json.loads(line)) + "\n")


if __name__ == "__main__":
    main()
