"""Regenerates the committed programs and traces: `programs/THEME.jsonl`, a program and its answer a line.

usage: python3.13 collect.py [--check]      (with --check nothing is written; a difference is an error)
"""

import itertools
import json
import os
import sys

import generate
import oracle

SEED = 20261122
PER_THEME = 150
MAX_BYTES = 1500
MIN_EVENTS = 3


def collect(theme):
    lines = []
    for i in itertools.count():
        if len(lines) == PER_THEME:
            return "\n".join(lines) + "\n"
        program = generate.one_program(theme, i, SEED, small=True)
        if len(json.dumps(program, separators=(",", ":"))) > MAX_BYTES:
            continue
        answer = oracle.run_program(program)
        if "reject" in answer or len(answer["trace"]) < MIN_EVENTS:
            continue
        lines.append(json.dumps({"program": program, "answer": answer}, separators=(",", ":")))


def main():
    oracle.prepare()
    here = os.path.join(os.path.dirname(os.path.abspath(__file__)), "programs")
    os.makedirs(here, exist_ok=True)
    changed = []
    for theme in generate.THEMES:
        path = os.path.join(here, theme + ".jsonl")
        text = collect(theme)
        old = open(path).read() if os.path.exists(path) else None
        if text != old:
            changed.append(theme)
        if "--check" not in sys.argv:
            with open(path, "w") as f:
                f.write(text)
    print(f"{len(generate.THEMES) * PER_THEME} programs; changed: {', '.join(changed) or 'none'}")
    sys.exit(1 if changed and "--check" in sys.argv else 0)


if __name__ == "__main__":
    main()
