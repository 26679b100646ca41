"""What the user asks of a training: every option of `launch/train.py`, with its default, the original's."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Literal

from ecgan.config import ModelConfig, Spade, Upsampling
from ecgan.errors import UserError
from ecgan.runtime.devices import DeviceChoice
from ecgan.training.recipe import AdamSettings, GanMode, InitType, LossWeights, Recipe
from ecgan.training.schedule import Schedule
from jobs.options import option, parse_size


@dataclass(frozen=True)
class TrainSettings:
    network: Literal["ecgan", "segmenter"] = option(
        "ecgan", "what to train: ECGAN, or a SegFormer-B0 that finds the classes in photos, to score pictures by"
    )
    # data
    input_path: str = option("data/train", "training set: folder with imgs/ and labels/")
    exclude_list: str | None = option(None, "text file with the names of photos to leave out, one a line")
    max_dataset_size: int | None = option(None, "only the first so many pairs, by name")
    on_bad_input: Literal["stop", "skip"] = option("stop", "bad input: stop before any work, or train on all the rest")
    no_flip: bool = option(False, "no random flips")
    serial_batches: bool = option(False, "pairs in the order of their names instead of shuffled")
    loader_threads: int = option(4, "threads of each rank that read pictures ahead of the networks")
    held_out: int = option(0, "pairs, spread over the set, that are not trained on but measured with")
    eval_every_epochs: int = option(1, "measure so often on the pairs held out, and at the end; 0: only at the end")
    segmenter: str | None = option(None, "segmentation network, for the mask accuracy of pictures of pairs held out")
    inception_weights: str | None = option(None, "pytorch-fid's weights, for the FID of pictures of pairs held out")
    # networks
    size: str = option("512x384", "WIDTHxHEIGHT of the networks' pictures")
    ngf: int = option(64, "channels of G's last block; those of E follow")
    ndf: int = option(64, "channels of D's first layer")
    label_nc: int = option(29, "classes of the masks")
    contain_dontcare_label: bool = option(False, "mask value 255 is one class more")
    z_dim: int = option(256, "length of the style code")
    num_upsampling_layers: Upsampling = option("more", "upsampling layers of G")
    num_D: int = option(2, "scales of D")  # noqa: N815  # the original's name, as are the others
    n_layers_D: int = option(4, "layers of D before the logits")  # noqa: N815
    spectral_norm: bool = option(False, "real spectral normalisation, which the original only seems to have")
    init_type: InitType = option("xavier", "how weights are first drawn")
    init_variance: float = option(0.02, "gain of that")
    init_checkpoint: str | None = option(None, "start from the weights of a checkpoint, of ours or the original's")
    which_epoch: str | None = option(None, "which checkpoint of the original, where a folder holds several")
    # optimisation
    batch_size: int = option(1, "pairs in a step, over all ranks")
    micro_batch: int | None = option(None, "pairs that go through the networks at once on a rank; by default its share")
    lr: float = option(2e-4, "base learning rate; with two time scales G and E take half of it, D twice")
    beta1: float | None = option(None, "of Adam; by default 0, with --no_TTUR 0.5")
    beta2: float | None = option(None, "of Adam; by default 0.9, with --no_TTUR 0.999")
    no_TTUR: bool = option(False, "one learning rate for all instead of two time scales")  # noqa: N815
    niter: int = option(50, "epochs at the full learning rate")
    niter_decay: int = option(150, "epochs over which it then falls to zero")
    max_steps: int | None = option(None, "end after so many steps, if the epochs have not ended before")
    max_minutes: float | None = option(None, "end after so many minutes of training")
    D_steps_per_G: int = option(1, "steps of D for each of G")  # noqa: N815
    reuse_fakes: bool = option(False, "D learns from the pictures G has just learned from, not from new ones: faster")
    ema_decay: float = option(0.0, "decay of the moving average of G, 0 to 1; 0: none")
    seed: int = option(0, "seed of weights, order, flips and noise")
    # losses
    gan_mode: GanMode = option("hinge", "form of the adversarial loss")
    lambda_feat: float = option(10.0, "weight of feature matching; 0: none")
    lambda_kld: float = option(0.05, "weight of the KL divergence of the style code")
    lambda_vgg: float = option(10.0, "weight of the perceptual loss; 0: none")
    vgg_weights: str | None = option(None, "file with VGG19's weights; by default Jittor's hub cache is looked into")
    lambda_l1: float = option(0.0, "weight of the plain L1 distance to the photo, which the original does not have")
    image_weight: float = option(1.0, "weight of what judges image")
    edge_weight: float = option(1.0, "weight of what judges the edge map")
    image2_weight: float = option(2.0, "weight of what judges image2, the picture that is kept")
    # what is kept and shown
    run_dir: str = option("runs/ecgan", "folder of the run: states, logs, metrics, samples")
    resume: bool = option(True, "go on from the newest state in the run's folder, if there is one")
    save_every_minutes: float = option(15.0, "save the state so often; 0: not by time")
    save_every_steps: int = option(0, "save the state after every so many steps; 0: not by steps")
    save_every_epochs: int = option(10, "save the state after every so many epochs; 0: not by epochs")
    keep_states: int = option(3, "how many of the last states are kept, beside the best")
    print_every_steps: int = option(100, "write losses to the log and the metrics so often")
    display_every_steps: int = option(1000, "paint samples so often; 0: never")
    samples: int = option(4, "how many pairs are painted as samples")
    # where it runs
    spade: Spade = option("exact-sparse", "compute what the mask decides once for all like pixels, or at each")
    cluster: Literal["auto", "slurm", "local"] = option("auto", "where to run")
    ranks: int | None = option(None, "processes that train together; by default one for each GPU, else one")
    device: DeviceChoice = option("auto", "what to compute on")
    cache_dir: str | None = option(None, "folder of compiled code; by default ECGAN_CACHE or ~/.cache/ecgan")
    dry_run: bool = option(False, "print the plan and do nothing")

    def __post_init__(self) -> None:
        at_least = {
            1: ("batch_size", "micro_batch", "max_steps", "max_dataset_size", "ranks", "loader_threads", "keep_states")
            + ("D_steps_per_G", "print_every_steps", "samples"),
            0: (
                "niter",
                "niter_decay",
                "held_out",
                "eval_every_epochs",
                "save_every_steps",
                "save_every_epochs",
                "save_every_minutes",
            )
            + ("display_every_steps", "lambda_feat", "lambda_kld", "lambda_vgg", "lambda_l1")
            + ("image_weight", "edge_weight", "image2_weight"),
        }
        for least, names in at_least.items():
            for name in names:
                value = getattr(self, name)
                if value is not None and not value >= least:
                    raise UserError(f"--{name} is {value}; it must be at least {least}")
        for name in ("lr", "init_variance", "max_minutes"):
            value = getattr(self, name)
            if value is not None and not 0 < value < float("inf"):
                raise UserError(f"--{name} is {value}; it must be above 0")
        for name in ("beta1", "beta2", "ema_decay"):
            value = getattr(self, name)
            if value is not None and not 0 <= value < 1:
                raise UserError(f"--{name} is {value}; it must be 0 or more, and below 1")
        if self.niter + self.niter_decay < 1:
            raise UserError("--niter and --niter_decay are both 0: there is nothing to train")
        if not self.image_weight + self.edge_weight + self.image2_weight:
            raise UserError("--image_weight, --edge_weight and --image2_weight are all 0: G would learn from nothing")
        if self.which_epoch is not None and self.init_checkpoint is None:
            raise UserError("--which_epoch belongs to --init_checkpoint, which is not given")
        for name in ("segmenter", "inception_weights"):
            if getattr(self, name) is not None and not self.held_out:
                raise UserError(f"--{name} measures pictures of pairs held out, and there are none: say --held_out 200")
        if self.inception_weights is not None and self.held_out < 2:
            raise UserError("--inception_weights needs --held_out 2 at least: one picture has no distance")
        if self.trains_segmenter:
            self._insist_on_segmenters_options()
        self.model  # noqa: B018  # raise now if it can't be

    @property
    def trains_segmenter(self) -> bool:
        return self.network == "segmenter"

    def _insist_on_segmenters_options(self) -> None:
        for field in dataclasses.fields(self):
            if field.name in OF_ECGAN and getattr(self, field.name) != field.default:
                raise UserError(f"--{field.name} is ECGAN's: --network segmenter has no use for it")

    @property
    def model(self) -> ModelConfig:
        size = parse_size("--size", self.size)
        assert size is not None
        if self.trains_segmenter:  # whose smallest map is 32 times smaller than the photo, as in "normal"
            classes = {name: getattr(self, name) for name in ("label_nc", "contain_dontcare_label")}
            return ModelConfig(*size, **classes, num_upsampling_layers="normal")
        names = ("label_nc", "contain_dontcare_label", "ngf", "ndf", "z_dim", "num_upsampling_layers")
        values = {name: getattr(self, name) for name in (*names, "num_D", "n_layers_D", "spectral_norm")}
        return ModelConfig(*size, **values)

    @property
    def recipe(self) -> Recipe:
        if self.trains_segmenter:
            betas = (0.9 if self.beta1 is None else self.beta1, 0.999 if self.beta2 is None else self.beta2)
            return Recipe(adam=AdamSettings(*betas, two_time_scales=False), micro_batch=self.micro_batch)
        beta1, beta2 = (0.5, 0.999) if self.no_TTUR else (0.0, 0.9)
        adam = AdamSettings(
            beta1 if self.beta1 is None else self.beta1, beta2 if self.beta2 is None else self.beta2, not self.no_TTUR
        )
        of_terms = {name: getattr(self, name) for name in ("lambda_feat", "lambda_kld", "lambda_vgg", "lambda_l1")}
        weights = LossWeights(
            self.gan_mode, **of_terms, image=self.image_weight, edge=self.edge_weight, image2=self.image2_weight
        )
        return Recipe(weights, adam, self.D_steps_per_G, self.ema_decay, self.micro_batch, self.spade, self.reuse_fakes)

    @property
    def schedule(self) -> Schedule:
        return Schedule(self.lr, self.niter, self.niter_decay)


#: Options that mean nothing to the segmentation network.
OF_ECGAN = ("ngf", "ndf", "z_dim", "num_upsampling_layers", "num_D", "n_layers_D", "spectral_norm", "which_epoch") + (
    ("no_TTUR", "D_steps_per_G", "reuse_fakes", "ema_decay", "gan_mode", "lambda_feat", "lambda_kld", "lambda_vgg")
    + ("vgg_weights", "lambda_l1", "image_weight", "edge_weight", "image2_weight", "spade")
    + ("segmenter", "inception_weights")
)
#: What decides tensors and samples: a state of other values can't be continued.
FIXED = (
    "network",
    "held_out",
    "size",
    "label_nc",
    "contain_dontcare_label",
    "ngf",
    "ndf",
    "z_dim",
    "num_upsampling_layers",
) + (("num_D", "n_layers_D", "spectral_norm", "batch_size", "seed", "no_flip", "serial_batches"))
#: What changes the training from where it is changed.
STEERING = (
    ("micro_batch", "lr", "beta1", "beta2", "no_TTUR", "niter", "niter_decay", "D_steps_per_G", "ema_decay")
    + ("gan_mode", "lambda_feat", "lambda_kld", "lambda_vgg", "vgg_weights", "lambda_l1")
    + ("image_weight", "edge_weight", "image2_weight")
)
