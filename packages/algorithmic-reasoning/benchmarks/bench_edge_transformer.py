"""Memory and time of triangular attention and of an Edge Transformer layer on 64 nodes, beside the literal formula."""

import sys
from functools import partial
from pathlib import Path
from time import process_time

import torch

sys.path.insert(0, str(Path(__file__).parent))
from literal_attention import HEADS, HIDDEN, attend, literal_layer, problem, run

from reprise.core.ratios import compare, peak_megabytes, peak_tensor_bytes, write

MODULES = ("torch", "literal_attention")


def memory(work, backward):
    """Most memory of tensors alive at once, and peaks of processes that have done the same on four nodes before."""
    facts = {}
    for kind in ("ours", "literal"):
        full, small = partial(work, kind, backward), partial(work, kind, backward, nodes=4)
        facts[f"{kind}_tensors_mib"] = peak_tensor_bytes(full) / 2**20
        facts[f"{kind}_process_mib"] = peak_megabytes(full, MODULES, first=small)
    return {
        "tensors_ratio": facts["literal_tensors_mib"] / facts["ours_tensors_mib"],
        "tensors_goal": HIDDEN // HEADS,
        "process_ratio": facts["literal_process_mib"] / facts["ours_process_mib"],
        **facts,
    }


if __name__ == "__main__":
    layer, pairs = problem()
    with torch.no_grad():
        torch.testing.assert_close(layer(pairs), literal_layer(layer, pairs), rtol=1e-3, atol=1e-5)
    results = []
    for name, work in (("triangular attention", attend), ("Edge Transformer layer", run)):
        for backward, way in ((False, "forward"), (True, "forward and backward")):
            results.append(
                compare(
                    f"{name}, 64 nodes, {way}, against the literal formula",
                    partial(work, "ours", backward),
                    partial(work, "literal", backward),
                    clock=process_time,
                    repeats=3,
                    **memory(work, backward),
                )
            )
    write(__file__, results, libraries=("torch",))
