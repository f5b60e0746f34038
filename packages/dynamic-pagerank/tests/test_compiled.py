import json
import os
import subprocess
import sys

import numpy as np
import pytest
from streams import random_events

from reprise.dynamic_pagerank import DynamicGraph, DynamicPageRank
from reprise.dynamic_pagerank.compiled import is_known, kernel_options

# Numba as it would be without the option: it refuses it as it refuses any that it does not know.
REFUSING = """
import json, sys
from numba.core.registry import cpu_target

options = type(cpu_target.options) if not isinstance(cpu_target.options, type) else cpu_target.options
parse = options.parse_as_flags

def refuse(flags, given):
    if refused := {"_nrt", "forceinline"} & set(given):
        raise KeyError(f"Unrecognized options: {refused}")
    return parse(flags, given)

options.parse_as_flags = staticmethod(refuse)
from reprise.dynamic_pagerank import DynamicGraph, DynamicPageRank
from reprise.dynamic_pagerank.compiled import kernel_options

assert kernel_options(inlined=True) == {"cache": True}
ranked = DynamicPageRank(DynamicGraph(nodes=12), source=0, epsilon=1e-3)
ranked.update([tuple(event) for event in json.loads(sys.argv[1])])
print(json.dumps(ranked.scores().to_numpy().tolist()))
"""


def test_an_option_that_numba_does_not_know_is_left_out():
    assert not is_known(_no_such_option=False)
    assert is_known(boundscheck=False)
    assert kernel_options(lambda **options: False) == {"cache": True}
    assert kernel_options(lambda **options: True) == {"cache": True, "_nrt": False}
    assert kernel_options(lambda **options: True, inlined=True) == {"cache": True, "_nrt": False, "forceinline": True}
    assert kernel_options(lambda **options: "_nrt" in options, inlined=True) == {"cache": True, "_nrt": False}


@pytest.mark.slow  # it compiles everything again
def test_scores_are_the_same_where_numba_refuses_the_option(tmp_path):
    events = random_events(3, nodes=12, length=60)
    ranked = DynamicPageRank(DynamicGraph(nodes=12), source=0, epsilon=1e-3)
    ranked.update(events)
    # Compiled code of this version of numba, which knows the option, must not be found.
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, "-c", REFUSING, json.dumps(events)]
    found = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert np.array_equal(json.loads(found.stdout), ranked.scores().to_numpy())
