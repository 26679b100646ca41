"""What the user asks of a training: every option of `launch/train.py`, with its default, the original's.

Beside each stands its role (`jobs.train.roles`), the range of its numbers, and the network it belongs to, if to one.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal, get_args

from ecgan.config import LARGEST, ModelConfig, Spade, Upsampling
from ecgan.data.images import Size
from ecgan.errors import UserError
from ecgan.runtime.devices import DeviceChoice
from ecgan.training.recipe import Augmentation, DiscriminatorKind, GanMode, InitType, Recipe
from ecgan.training.schedule import Schedule
from jobs.bounds import CLASSES, SHARE, above, at_least, between, insist_on_bounds
from jobs.options import parse_size
from jobs.train.networks import TRAINABLES, Network, Trainable
from jobs.train.relations import insist_on_relations
from jobs.train.roles import BEGINNING, FIXED, RUNNING, STEERING, option


@dataclass(frozen=True)
class TrainSettings:
    network: Network = option(
        "ecgan", FIXED, "what to train: ECGAN, or a SegFormer-B0 that finds the classes in photos, to score pictures by"
    )
    # data: which pairs there are is compared by their names
    input_path: str = option("data/train", RUNNING, "training set: folder with imgs/ and labels/", path=True)
    exclude_list: str | None = option(
        None, RUNNING, "text file with the names of photos to leave out, one a line", path=True
    )
    max_dataset_size: int | None = option(None, RUNNING, "only the first so many pairs, by name", at_least(1))
    on_bad_input: Literal["stop", "skip"] = option(
        "stop", RUNNING, "bad input: stop before any work, or train on all the rest"
    )
    no_flip: bool = option(False, FIXED, "no random flips")
    serial_batches: bool = option(False, FIXED, "pairs in the order of their names instead of shuffled")
    loader_threads: int = option(
        4, RUNNING, "threads of each rank that read pictures ahead of the networks", at_least(1)
    )
    held_out: int = option(
        0, FIXED, "pairs, spread over the set, that are not trained on but measured with", at_least(0)
    )
    eval_every_epochs: int = option(
        1, RUNNING, "measure so often on the pairs held out, and at the end; 0: only at the end", at_least(0)
    )
    segmenter: str | None = option(
        None,
        RUNNING,
        "segmentation network, for the mask accuracy of pictures of pairs held out",
        of="ecgan",
        path=True,
    )
    inception_weights: str | None = option(
        None, RUNNING, "pytorch-fid's weights, for the FID of pictures of pairs held out", of="ecgan", path=True
    )
    # networks
    size: str = option("512x384", FIXED, "WIDTHxHEIGHT of the networks' pictures")
    ngf: int = option(64, FIXED, "channels of G's last block; E's follow", between(1, LARGEST["ngf"]), of="ecgan")
    ndf: int = option(64, FIXED, "channels of D's first layer", between(1, LARGEST["ndf"]), of="ecgan")
    label_nc: int = option(29, FIXED, "classes of the masks", CLASSES)
    contain_dontcare_label: bool = option(False, FIXED, "mask value 255 is one class more")
    z_dim: int = option(256, FIXED, "length of the style code", between(1, LARGEST["z_dim"]), of="ecgan")
    num_upsampling_layers: Upsampling = option("more", FIXED, "upsampling layers of G", of="ecgan")
    discriminator: DiscriminatorKind = option(
        "patch",
        FIXED,
        "what judges pictures: critics of patches, a U-Net that finds classes, or both",
        of="ecgan",
    )
    num_D: int = option(2, FIXED, "scales of D", between(1, LARGEST["num_D"]), of="ecgan")  # noqa: N815  # the original's name
    n_layers_D: int = option(4, FIXED, "layers of D before the logits", between(1, LARGEST["n_layers_D"]), of="ecgan")  # noqa: N815
    spectral_norm: bool = option(
        False, FIXED, "real spectral normalisation, which the original only seems to have", of="ecgan"
    )
    noise_maps: bool = option(
        False, FIXED, "G adds noise to its maps, as much as it learns to, and can make texture of it", of="ecgan"
    )
    colour_means: bool = option(
        False, FIXED, "E sees the photo's mean colours too, which its normalisation hides from it", of="ecgan"
    )
    init_type: InitType = option("xavier", BEGINNING, "how weights are first drawn")
    init_variance: float = option(0.02, BEGINNING, "gain of that; kaiming has none", above(0))
    init_checkpoint: str | None = option(
        None, BEGINNING, "start from the weights of a checkpoint, of ours or the original's", path=True
    )
    which_epoch: str | None = option(
        None, BEGINNING, "which checkpoint of the original, where a folder holds several", of="ecgan"
    )
    # optimisation
    batch_size: int = option(1, FIXED, "pairs in a step, over all ranks", at_least(1))
    micro_batch: int | None = option(
        None, STEERING, "pairs that go through the networks at once on a rank; by default its share", at_least(1)
    )
    lr: float = option(
        2e-4, STEERING, "base learning rate; with two time scales G and E take half of it, D twice", above(0)
    )
    beta1: float | None = option(None, STEERING, "of Adam; by default 0, with --no_TTUR 0.5", SHARE)
    beta2: float | None = option(None, STEERING, "of Adam; by default 0.9, with --no_TTUR 0.999", SHARE)
    no_TTUR: bool = option(  # noqa: N815
        False, STEERING, "one learning rate for all instead of two time scales", of="ecgan"
    )
    niter: int = option(50, STEERING, "epochs at the full learning rate", at_least(0))
    niter_decay: int = option(150, STEERING, "epochs over which it then falls to zero", at_least(0))
    max_steps: int | None = option(
        None, RUNNING, "end after so many steps, if the epochs have not ended before", at_least(1)
    )
    max_minutes: float | None = option(None, RUNNING, "end after so many minutes of training", above(0))
    D_steps_per_G: int = option(1, STEERING, "steps of D for each of G", at_least(1), of="ecgan")  # noqa: N815
    reuse_fakes: bool = option(
        False, STEERING, "D learns from the pictures G has just learned from, not from new ones: faster", of="ecgan"
    )
    ema_decay: float = option(0.0, STEERING, "decay of the moving average of G, 0 to 1; 0: none", SHARE, of="ecgan")
    seed: int = option(0, FIXED, "seed of weights, order, flips and noise")
    # losses
    gan_mode: GanMode = option("hinge", STEERING, "form of the adversarial loss", of="ecgan")
    lambda_feat: float = option(10.0, STEERING, "weight of feature matching; 0: none", at_least(0), of="ecgan")
    lambda_kld: float = option(
        0.05, STEERING, "weight of the KL divergence of the style code; 0: none", at_least(0), of="ecgan"
    )
    lambda_vgg: float = option(10.0, STEERING, "weight of the perceptual loss; 0: none", at_least(0), of="ecgan")
    vgg_weights: str | None = option(
        None, STEERING, "file with VGG19's weights; by default Jittor's hub cache is looked into", of="ecgan", path=True
    )
    lambda_l1: float = option(
        0.0,
        STEERING,
        "weight of the plain L1 distance to the photo, which the original does not have",
        at_least(0),
        of="ecgan",
    )
    guide: str | None = option(
        None, STEERING, "segmentation network that tells G what it sees in its pictures", of="ecgan", path=True
    )
    lambda_guide: float = option(
        0.0, STEERING, "weight of the cross-entropy of what the guide sees and the mask", at_least(0), of="ecgan"
    )
    lambda_guide_feat: float = option(
        0.0, STEERING, "weight of the distance of the guide's features to the photo's", at_least(0), of="ecgan"
    )
    lambda_tone: float = option(
        0.0,
        STEERING,
        "weight of the distance of mean and covariance of colours to the photo's",
        at_least(0),
        of="ecgan",
    )
    lambda_texture: float = option(
        0.0,
        STEERING,
        "weight of the distance of the strength of detail, place by place, to the photo's",
        at_least(0),
        of="ecgan",
    )
    augment: str = option(
        "none",
        STEERING,
        f"what is done at random to all that D sees: any of {', '.join(get_args(Augmentation))}; or none",
        of="ecgan",
    )
    lambda_lecam: float = option(0.0, STEERING, "weight of LeCam regularisation; 0: none", at_least(0), of="ecgan")
    lambda_r1: float = option(
        0.0, STEERING, "weight of R1 regularisation, approximated by noise; 0: none", at_least(0), of="ecgan"
    )
    r1_sigma: float = option(
        0.1, STEERING, "standard deviation of that noise, pictures being in [-1, 1]", above(0), of="ecgan"
    )
    r1_every: int = option(
        1, STEERING, "R1 counts in every so many steps of D, and so many times as much there", at_least(1), of="ecgan"
    )
    lambda_labelmix: float = option(
        0.0, STEERING, "weight of LabelMix, of the discriminator that finds classes; 0: none", at_least(0), of="ecgan"
    )
    lambda_contrast: float = option(
        0.0,
        STEERING,
        "weight of the contrast between classes in G's features, across pictures; 0: none",
        at_least(0),
        of="ecgan",
    )
    contrast_temperature: float = option(0.07, STEERING, "what similarities are divided by there", above(0), of="ecgan")
    image_weight: float = option(1.0, STEERING, "weight of what judges image", at_least(0), of="ecgan")
    edge_weight: float = option(1.0, STEERING, "weight of what judges the edge map", at_least(0), of="ecgan")
    image2_weight: float = option(
        2.0, STEERING, "weight of what judges image2, the picture that is kept", at_least(0), of="ecgan"
    )
    # what is kept and shown
    run_dir: str = option("runs/ecgan", RUNNING, "folder of the run: states, logs, metrics, samples", path=True)
    resume: bool = option(True, RUNNING, "go on from the newest state in the run's folder, if there is one")
    save_every_minutes: float = option(15.0, RUNNING, "save the state so often; 0: not by time", at_least(0))
    save_every_steps: int = option(0, RUNNING, "save the state after every so many steps; 0: not by steps", at_least(0))
    save_every_epochs: int = option(
        10, RUNNING, "save the state after every so many epochs; 0: not by epochs", at_least(0)
    )
    keep_states: int = option(3, RUNNING, "how many of the last states are kept, beside the best", at_least(1))
    print_every_steps: int = option(100, RUNNING, "write losses to the log and the metrics so often", at_least(1))
    display_every_steps: int = option(1000, RUNNING, "paint samples so often; 0: never", at_least(0))
    samples: int = option(4, RUNNING, "how many pairs are painted as samples", at_least(1))
    # where it runs
    spade: Spade = option(
        "exact-sparse", RUNNING, "compute what the mask decides once for all like pixels, or at each", of="ecgan"
    )
    cluster: str = option("auto", RUNNING, "where to run")
    ranks: int | None = option(
        None, RUNNING, "processes that train together; by default one for each GPU, else one", at_least(1)
    )
    threads: int | None = option(
        None, RUNNING, "CPU threads of each rank; by default OMP_NUM_THREADS, else its share of the cores", at_least(1)
    )
    device: DeviceChoice = option("auto", RUNNING, "what to compute on")
    cache_dir: str | None = option(
        None, RUNNING, "folder of compiled code; by default ECGAN_CACHE or ~/.cache/ecgan", path=True
    )
    dry_run: bool = option(False, RUNNING, "print the plan and do nothing")

    def __post_init__(self) -> None:
        insist_on_bounds(self)
        for field in dataclasses.fields(self):
            of = field.metadata["of"]
            if of not in (None, self.network) and getattr(self, field.name) != field.default:
                raise UserError(
                    f"--{field.name} is {TRAINABLES[of].title}'s: --network {self.network} has no use for it"
                )
        insist_on_relations(self)
        self.model, self.augmentations  # noqa: B018  # raise now if they can't be

    @property
    def trainable(self) -> Trainable[Any]:
        return TRAINABLES[self.network]

    @property
    def picture_size(self) -> Size:
        size = parse_size("--size", self.size)
        assert size is not None
        return size

    @property
    def model(self) -> ModelConfig:
        return self.trainable.model(self)

    @property
    def augmentations(self) -> tuple[Augmentation, ...]:
        """In the order in which they are done. Raises UserError naming what is none."""
        words = self.augment.replace("color", "colour").split(",")
        asked = {word.strip() for word in words if self.augment != "none"}
        kinds: tuple[Augmentation, ...] = get_args(Augmentation)
        if unknown := asked.difference(kinds):
            raise UserError(f"--augment: {min(unknown)!r} is none of {', '.join(kinds)}")
        return tuple(kind for kind in kinds if kind in asked)

    @property
    def recipe(self) -> Recipe:
        return self.trainable.recipe(self)

    @property
    def schedule(self) -> Schedule:
        return Schedule(self.lr, self.niter, self.niter_decay)
