"""Where a number comes from: the machine, the versions, the commit."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import psutil
from pydantic import BaseModel, ConfigDict


class Machine(BaseModel):
    """The computer of a run."""

    model_config = ConfigDict(extra="forbid")

    cpu: str
    cores: int
    memory_bytes: int
    gpu: str | None
    system: str
    python: str


class Source(BaseModel):
    """The commit of the code of a run; `dirty` if files other than recorded results had been changed since."""

    model_config = ConfigDict(extra="forbid")

    commit: str
    dirty: bool


def machine() -> Machine:
    """Describe this computer, without its name."""
    return Machine(
        cpu=_cpu_name(),
        cores=os.cpu_count() or 1,
        memory_bytes=psutil.virtual_memory().total,
        gpu=gpu_name(),
        system=f"{platform.system()} {platform.machine()}",
        python=platform.python_version(),
    )


def versions() -> dict[str, str]:
    """Return the version of every installed distribution."""
    named = [d for d in metadata.distributions() if d.metadata["Name"]]  # a half-removed distribution has no name
    return dict(sorted((d.metadata["Name"].lower().replace("_", "-"), d.version) for d in named))


def source(module: str, distribution: str) -> Source | None:
    """Return the commit that a package was run from: of its checkout, or of the address that it was installed from."""
    file = sys.modules[module].__file__ if module in sys.modules else None
    if file is not None:
        folder = Path(file).parent
        commit = _git(folder, "rev-parse", "HEAD")
        tracked = _git(folder, "ls-files", "--error-unmatch", Path(file).name)
        if commit and tracked:
            top = _git(folder, "rev-parse", "--show-toplevel")
            changed = _git(Path(top or folder), "status", "--porcelain", "--", ".", ":(exclude,glob)**/results/**")
            return Source(commit=commit, dirty=bool(changed))
    try:
        direct = json.loads(metadata.distribution(distribution).read_text("direct_url.json") or "{}")
    except metadata.PackageNotFoundError:
        return None
    commit = direct.get("vcs_info", {}).get("commit_id")
    return Source(commit=commit, dirty=False) if commit else None


def peak_memory() -> int:
    """Return the largest resident memory that this process has held so far, in bytes."""
    if sys.platform == "win32":
        return int(psutil.Process().memory_info().peak_wset)
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def gpu_name() -> str | None:
    """Return the name of the first GPU that an already imported torch sees."""
    torch = sys.modules.get("torch")
    return str(torch.cuda.get_device_name(0)) if torch is not None and torch.cuda.is_available() else None


def _cpu_name() -> str:
    if sys.platform == "linux":
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", "--no-optional-locks", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
