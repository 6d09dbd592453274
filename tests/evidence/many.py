"""Checks many files of evidence in one process.

A line comes in for each file: its path and the trust file's, a tab between them. A line goes out for each: what
`examples/python/verify_evidence.py` makes of it.
"""

import json
import sys
import tomllib
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "examples" / "python"))

from verify_evidence import UNTRUE, Evidence

for line in sys.stdin:
    file, trust = map(Path, line.rstrip("\n").split("\t"))
    founding = bytes.fromhex(tomllib.loads(trust.read_text())["founding"])
    try:
        proved = Evidence(file.read_bytes(), founding).proved()
        told = {"code": 0 if proved["witnessed"] else 7, "proved": proved}
    except UNTRUE as error:
        told = {"code": 5, "because": str(error)}
    print(json.dumps(told), flush=True)
