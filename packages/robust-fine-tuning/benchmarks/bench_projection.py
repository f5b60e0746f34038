"""Projection of all layers of a ResNet-18: a prebuilt list and fused kernels against a walk over all modules."""

import time

import torch
from torch import nn
from torchvision.models import resnet18

from reprise.core.ratios import compare, seconds, summary, write
from reprise.robust_fine_tuning import LayerConstraints, growing_radii


class Walk:
    """The authors' way: applied to every module, it looks up the reference and rebuilds the weight."""

    def __init__(self, state, radii):
        self.state, self.radii = state, radii

    def __call__(self, model):
        for name, module in model.named_modules():
            key = f"{name}.weight"
            if isinstance(module, (nn.Conv2d, nn.Linear)) and key in self.radii:
                moved = module.weight.data - self.state[key]
                norm = torch.norm(moved)
                ratio = torch.clamp(self.radii[key] / norm, max=1.0)
                module.weight.data = self.state[key] + moved * ratio


if __name__ == "__main__":
    torch.manual_seed(0)
    torch.set_num_threads(1)
    results = []
    for inside in (False, True):
        model = resnet18()
        state = {name: p.detach().clone() for name, p in model.named_parameters()}
        radii = growing_radii(model, 1e6 if inside else 0.5)
        ours, peer = LayerConstraints(model, state, radii), Walk(state, radii)
        with torch.no_grad():
            for p in model.parameters():
                p.add_(1e-2 * torch.randn_like(p))
        moved = [p.detach().clone() for p in model.parameters()]
        pairs = []
        for turn in range(11):
            times = []
            for project in (ours.project_, lambda peer=peer, model=model: peer(model)):
                with torch.no_grad():  # back to where they had moved, outside of the time that is taken
                    torch._foreach_copy_(list(model.parameters()), moved)
                times.append(seconds(project, clock=time.process_time))
            if turn > 0:
                pairs.append(tuple(times))
        kind = "inside their balls" if inside else "outside"
        results.append(summary(f"projection, ResNet-18, all layers {kind}", pairs, goal=3))
    model = nn.Sequential(*(nn.Linear(16, 16) for _ in range(200)))
    state = {name: p.detach() * 0.5 for name, p in model.named_parameters()}
    radii = growing_radii(model, 0.1)
    ours, peer = LayerConstraints(model, state, radii), Walk(state, radii)
    results.append(
        compare(
            "projection, 200 small layers",
            ours.project_,
            lambda: peer(model),
            calls=10,
            repeats=7,
            goal=3,
            clock=time.process_time,
        )
    )
    write(__file__, results, libraries=("torch", "pyhessian"))
