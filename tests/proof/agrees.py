# Holds roots and proofs that were written to a file to those of pymerkle. Argument: the file.
#
# pymerkle's proof of inclusion begins with the leaf and is else RFC 6962's. Its proof of consistency has another shape where the
# old tree ends at a full subtree, so that proof is made here as section 2.1.2 of the RFC says, of pymerkle's roots.
import json
import sys
from functools import cache

from pymerkle import InmemoryTree

with open(sys.argv[1]) as file:
    said = json.load(file)
records = [bytes.fromhex(record) for record in said["records"]]
tree = InmemoryTree.init_from_entries(records)


@cache
def root(start, end):
    if start == 0:
        return tree.get_root(end)
    return InmemoryTree.init_from_entries(records[start:end]).get_root()


def consistency(old, start, end, whole):
    if end - start == old:
        return [] if whole else [root(start, end)]
    middle = 1
    while 2 * middle < end - start:
        middle *= 2
    if old <= middle:
        return consistency(old, start, start + middle, whole) + [root(start + middle, end)]
    return consistency(old - middle, start + middle, end, False) + [root(start, start + middle)]


for size, expected in said["roots"]:
    assert tree.get_root(size).hex() == expected, f"root of {size}"
for index, size, path in said["inclusion"]:
    made = tree.prove_inclusion(index + 1, size)
    made.verify(tree.get_leaf(index + 1), tree.get_root(size))
    assert b"".join(made.path[1:]).hex() == path, f"{index} of {size}"
for old, new, path in said["consistency"]:
    assert b"".join(consistency(old, 0, new, True)).hex() == path, f"{old} to {new}"
print(len(said["roots"]), len(said["inclusion"]), len(said["consistency"]))
