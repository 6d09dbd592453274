# What the client in Python makes of published vectors: a line for each, its name and what came out.
# Arguments: the folders of the client, of its generated code, and of the vectors.
import hashlib
import sys
from pathlib import Path

sys.path[:0] = sys.argv[1:3]

from keys import OPENS, bech32
from sealing import OpeningKey, Unopened, decrypted

for about in sorted(Path(sys.argv[3]).glob("*.about")):
    said = [line.partition(": ") for line in about.read_text().splitlines()]
    texts = [bech32(value) for name, _, value in said if name == "identity"]
    keys = [OpeningKey(secret) for prefix, secret in texts if prefix == OPENS]
    try:
        came = hashlib.sha256(decrypted(about.with_suffix(".age").read_bytes(), keys)).hexdigest()
    except Unopened as error:
        came = "header failure" if "header" in str(error) else "no match"
    print(about.stem, came, sep="\t")
