"""Memory and time of an Edge Transformer layer on 64 nodes, beside the formula taken literally."""

import sys
from functools import partial
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parent))
from literal_attention import HEADS, HIDDEN, literal, problem, run

from reprise.core.ratios import compare, peak_megabytes, write

MODULES = ("torch", "literal_attention")

if __name__ == "__main__":
    layer, pairs = problem()
    with torch.no_grad():
        torch.testing.assert_close(layer(pairs), literal(layer, pairs), rtol=1e-3, atol=1e-5)
    results = []
    for backward, name in ((False, "forward"), (True, "forward and backward")):
        ours, peer = (peak_megabytes(partial(run, kind, backward), MODULES) for kind in ("ours", "literal"))
        results.append(
            compare(
                f"Edge Transformer layer, 64 nodes, {name}, against the literal formula",
                partial(run, "ours", backward),
                partial(run, "literal", backward),
                repeats=3,
                ours_megabytes=ours,
                peer_megabytes=peer,
                memory_ratio=peer / ours,
                memory_goal=HIDDEN // HEADS,
            )
        )
    write(__file__, results, libraries=("torch",))
