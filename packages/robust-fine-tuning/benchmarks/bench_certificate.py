"""What the measure on 256 cached examples costs, beside an epoch of training."""

import time

import torch
from torch import nn

from reprise.core.ratios import compare, write
from reprise.robust_fine_tuning import Certificate, fine_tune

if __name__ == "__main__":
    torch.manual_seed(0)
    torch.set_num_threads(1)
    results = []
    for n in (5000, 20000):
        model = nn.Sequential(nn.Linear(128, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 10))
        data = (torch.randn(n, 128), torch.arange(n) % 10)
        certificate = Certificate(model, model, data)
        found = compare(
            f"an epoch over {n} examples, in certificates",
            lambda certificate=certificate, model=model: certificate(model, {}),
            lambda model=model, data=data: fine_tune(model, data, epochs=1),
            repeats=7,
            clock=time.process_time,
            goal=20,
        )
        found["share_of_epoch"] = 1 / found["ratio"]
        print(f"  the certificate takes {found['share_of_epoch']:.1%} of an epoch")
        results.append(found)
    write(__file__, results, libraries=("torch", "pyhessian"))
