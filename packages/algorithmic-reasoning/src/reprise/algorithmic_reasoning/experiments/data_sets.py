"""The reference arrays, and accuracies that the authors recorded."""

from reprise.core import DataSet, RemoteFile

REFERENCE = DataSet(
    name="algorithmic-reasoning",
    files=(RemoteFile("clrs_reference.npz"),),
    source="trajectories of google-deepmind/clrs (dm-clrs 2.0.3): its samplers with the seeds that the keys name",
    size="200 kB",
    licence="Apache-2.0",
)
TRANSFER = DataSet(
    name="algorithmic-reasoning",
    files=(RemoteFile("pairwise_transfer_full.csv"),),
    source="analysis scripts of VirtuosoResearch/Multitask-algorithmic-reasoning, gnn_experiments/notebooks",
    size="2 kB",
    licence="figures are facts",
)
LANGUAGE_MODEL = DataSet(
    name="algorithmic-reasoning/language-model",
    files=(RemoteFile("config.json"), RemoteFile("tokenizer.json")),
    source="a causal language model as transformers saves it, with weights in safetensors, such as Qwen2.5-1.5B",
    size="3 GB and more",
    licence="its owner's",
)
