#!/usr/bin/env python3
"""Adds a run to fuzz/RUNS.md: runs.py TARGET CPU-SECONDS EXECUTIONS EDGES FINDINGS COMMIT

Seconds, executions and findings add up; of the edges the most are kept that a run has covered.
"""
import datetime
import fcntl
import sys
from pathlib import Path

TABLE = Path(__file__).with_name("RUNS.md")
HEAD = """# Fuzzing so far

Written by `scripts/fuzz.sh --record`. Seconds are those of a processor; a finding is a run that ended with one.

| target | CPU seconds | executions | edges | findings | last run | commit |
|---|---:|---:|---:|---:|---|---|
"""

target, *numbers, commit = sys.argv[1:]
more = [int(number) for number in numbers]
with open(Path(__file__), "rb") as lock:
    # Runs beside each other take turns.
    fcntl.flock(lock, fcntl.LOCK_EX)
    lines = TABLE.read_text().splitlines() if TABLE.exists() else []
    rows = [[cell.strip() for cell in line.strip("| ").split("|")] for line in lines if line.startswith("| ")]
    table = {row[0]: row for row in rows if row[0] != "target"}
    seconds, executions, edges, findings = map(int, table.get(target, [target, 0, 0, 0, 0])[1:5])
    sums = [seconds + more[0], executions + more[1], max(edges, more[2]), findings + more[3]]
    table[target] = [target, *map(str, sums), datetime.date.today().isoformat(), commit]
    TABLE.write_text(HEAD + "".join(f"| {' | '.join(table[name])} |\n" for name in sorted(table)))
