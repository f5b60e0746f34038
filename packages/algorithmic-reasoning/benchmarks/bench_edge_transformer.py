"""Memory and time of an Edge Transformer layer on 64 nodes, beside the formula taken literally."""

import sys
from functools import partial
from pathlib import Path
from time import process_time

import torch

sys.path.insert(0, str(Path(__file__).parent))
from literal_attention import HEADS, HIDDEN, literal, problem, run

from reprise.core.ratios import compare, peak_megabytes, write

MODULES = ("torch", "literal_attention")

if __name__ == "__main__":
    layer, pairs = problem()
    with torch.no_grad():
        torch.testing.assert_close(layer(pairs), literal(layer, pairs), rtol=1e-3, atol=1e-5)
    memory = {}
    for backward, name in ((False, "forward"), (True, "backward")):
        ours, peer = (peak_megabytes(partial(run, kind, backward), MODULES) for kind in ("ours", "literal"))
        memory |= {f"{name}_ours_mib": ours, f"{name}_peer_mib": peer, f"{name}_memory_ratio": peer / ours}
    result = compare(
        "Edge Transformer layer, 64 nodes, forward, against the literal formula",
        partial(run, "ours", False),
        partial(run, "literal", False),
        clock=process_time,
        repeats=3,
        memory_goal=HIDDEN // HEADS,
        **memory,
    )
    write(__file__, [result], libraries=("torch",))
