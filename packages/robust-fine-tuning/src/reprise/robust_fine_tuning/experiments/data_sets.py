"""The data sets that the experiments read: which files, from where."""

from reprise.core import DataSet, RemoteFile

TEXT = DataSet(
    "robust-fine-tuning",
    tuple(RemoteFile(name) for name in ("TREC.train.all", "TREC.test.all", "custrev.all", "subj.all")),
    source="GitHub repository harvardnlp/sent-conv-torch, folder data",
    size="2 MB",
    licence="MIT repository; the corpora are free for research",
)
INDOOR = DataSet(
    "robust-fine-tuning/indoor",
    (
        RemoteFile("TrainImages.txt"),
        RemoteFile("TestImages.txt"),
        RemoteFile("Images/airport_inside/airport_inside_0001.jpg"),
    ),
    source="MIT-Indoor, web.mit.edu/torralba/www/indoor.html",
    size="2.4 GB",
    licence="for research",
)
CALTECH = DataSet(
    "robust-fine-tuning/caltech",
    (RemoteFile("256_ObjectCategories/001.ak47/001_0001.jpg"),),
    source="Caltech-256, data.caltech.edu/records/nyy15-4j048",
    size="1.2 GB",
    licence="CC BY 4.0",
)
DOMAINS = ("clipart", "infograph", "painting", "quickdraw", "real", "sketch")
DOMAINNET = DataSet(
    "robust-fine-tuning/domain_net",
    (
        RemoteFile("sample_classes_1.txt"),
        *(RemoteFile(f"sample_1/{domain}_{part}.pkl") for domain in DOMAINS for part in ("train", "test")),
        *(RemoteFile(f"sample_1/{domain}_train_mv_labels.npy") for domain in DOMAINS),
    ),
    source="GitHub repository VirtuosoResearch/Robust-Fine-Tuning, exps_on_image_datasets/data/domain_net",
    size="about 1 GB",
    licence="MIT repository",
)
RESNETS = DataSet(
    "robust-fine-tuning/weights",
    tuple(RemoteFile(name) for name in ("resnet18-f37072fd.pth", "resnet34-b627a593.pth", "resnet101-63fe2227.pth")),
    source="torchvision's ResNet-18, -34 and -101 for ImageNet, download.pytorch.org/models",
    size="300 MB",
    licence="BSD-3-Clause",
)
