"""Judges the scenario runner: makes programs, runs them on CPython and on the runner, and compares the traces.

usage: python3.13 conform.py RUNNER --programs N --seed S [--theme THEME] [--keep DIR]
"""

import argparse
import gc
import json
import os
import subprocess
import sys
import tempfile

import generate
import oracle

CHUNK = 500


def judge(runner, programs, keep):
    """How many programs were judged, left out, and differ."""
    # What is alive now stays; the collections between programs need not look at it.
    gc.freeze()
    expected = [oracle.run_program(program) for program in programs]
    with tempfile.NamedTemporaryFile("w", suffix=".json", delete=False) as f:
        json.dump(programs, f)
    try:
        done = subprocess.run([runner, f.name], capture_output=True, text=True, timeout=600)
    finally:
        os.unlink(f.name)
    lines = done.stdout.splitlines()
    if done.returncode != 0 or len(lines) != len(programs):
        print(f"the runner failed after {len(lines)} programs: {done.stderr.strip()}", file=sys.stderr)
    judged = left_out = differ = 0
    for idx, (program, want) in enumerate(zip(programs, expected)):
        got = json.loads(lines[idx]) if idx < len(lines) else None
        if "reject" in want and want["reject"] != "deadlock":
            left_out += 1
            continue
        judged += 1
        if got != want:
            differ += 1
            print(f"{program['name']} differs", file=sys.stderr)
            if keep:
                with open(os.path.join(keep, program["name"] + ".json"), "w") as f:
                    json.dump(program, f)
    return judged, left_out, differ


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("runner")
    parser.add_argument("--programs", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--theme", default="all")
    parser.add_argument("--keep")
    args = parser.parse_args()
    oracle.prepare()
    totals = [0, 0, 0]
    for start in range(0, args.programs, CHUNK):
        programs = generate.generate(args.theme, min(start + CHUNK, args.programs), args.seed, start)
        counts = judge(args.runner, programs, args.keep)
        totals = [total + count for total, count in zip(totals, counts)]
    judged, left_out, differ = totals
    print(f"{judged} programs judged, {left_out} left out, {differ} differ")
    sys.exit(1 if differ else 0)


if __name__ == "__main__":
    main()
