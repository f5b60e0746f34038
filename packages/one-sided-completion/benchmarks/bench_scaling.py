"""Time and memory of the streamed estimate from 10⁵ to 10⁸ ratings, 10 in each row."""

from functools import partial

import numpy as np
from bench_estimate import streamed

from reprise.core.ratios import peak_megabytes, seconds, write
from reprise.one_sided_completion import second_moment
from reprise.one_sided_completion.experiments.scaling import blocks


def timed(rows):
    """Seconds spent on estimating and adding, without the making of the ratings."""
    total = None
    spent = 0.0
    for block in blocks(rows, 1000, 10, 50_000, 0):
        part = []
        spent += seconds(lambda block=block, part=part: part.append(second_moment(block)))
        if total is None:
            total = part[0]
        else:
            begin = total
            spent += seconds(lambda begin=begin, part=part: part.append(begin + part[0]))
            total = part[-1]
    return spent


if __name__ == "__main__":
    timed(1000)
    sizes = [10_000, 100_000, 1_000_000, 10_000_000]
    results = []
    for rows in sizes:
        taken = timed(rows)
        pairs = rows * 10 * 11 / 2
        results.append(
            {
                "work": f"{rows:,} rows",
                "seconds": taken,
                "pairs_per_second": pairs / taken,
                "peak_mb": peak_megabytes(partial(streamed, rows)) if rows <= 1_000_000 else None,
            }
        )
        print(results[-1])
    slope = np.polyfit(np.log(sizes), np.log([each["seconds"] for each in results]), 1)[0]
    print(f"slope of seconds in rows: {slope:.3f}")
    write(__file__, [*results, {"work": "slope of seconds in rows", "slope": float(slope)}], libraries=["numba"])
