"""ECGAN as something to train: encoder, generator and discriminator, and the networks that judge their pictures."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ecgan.checkpoint import Checkpoint, open_checkpoint, tensors
from ecgan.checkpoint.inception import find_inception, read_inception
from ecgan.checkpoint.segmenter import fitting, open_segmenter
from ecgan.checkpoint.shipped import located
from ecgan.checkpoint.vgg import find_vgg19, read_vgg19
from ecgan.config import ADDITIONS, FIRST_NOISE_STRENGTH, ModelConfig, unet_widths
from ecgan.data.trainset import PHOTO_FOLDER
from ecgan.errors import UserError
from ecgan.memory import state_size
from ecgan.runtime.warming import warm_scoring, warm_training
from ecgan.training.recipe import AdamSettings, LossWeights, Recipe
from jobs.commands import called
from jobs.train.files import Files
from jobs.train.networks.trainable import Trainable

if TYPE_CHECKING:
    from ecgan.training.evaluation import Evaluate
    from ecgan.training.learner import Learner
    from ecgan.training.world import World
    from jobs.train.plan import TrainPlan
    from jobs.train.settings import TrainSettings

#: Options that the model is made of, by the same names.
_OF_MODEL = ("label_nc", "contain_dontcare_label", "ngf", "ndf", "z_dim", "num_upsampling_layers") + (
    ("num_D", "n_layers_D", "spectral_norm", *ADDITIONS)
)


class Ecgan(Trainable["Learner"]):
    title = "ECGAN"
    use = f"paint with\n  {called('generate')} --checkpoint"
    likeness = ("GAN_Feat", "VGG", "L1")

    def model(self, settings: TrainSettings) -> ModelConfig:
        return ModelConfig(*settings.picture_size, **{name: getattr(settings, name) for name in _OF_MODEL})

    def recipe(self, settings: TrainSettings) -> Recipe:
        beta1, beta2 = (0.5, 0.999) if settings.no_TTUR else (0.0, 0.9)
        adam = AdamSettings(
            beta1 if settings.beta1 is None else settings.beta1,
            beta2 if settings.beta2 is None else settings.beta2,
            two_time_scales=not settings.no_TTUR,
        )
        weights = {field.name: getattr(settings, _option_of(field.name)) for field in fields(LossWeights)}
        return Recipe(
            LossWeights(**weights),
            adam,
            d_steps_per_g=settings.D_steps_per_G,
            ema_decay=settings.ema_decay,
            micro_batch=settings.micro_batch,
            spade=settings.spade,
            reuse_fakes=settings.reuse_fakes,
            discriminator=settings.discriminator,
            augment=settings.augmentations,
        )

    def widths(self, settings: TrainSettings) -> str:
        return f"ngf {settings.ngf}, ndf {settings.ndf}"

    def rows(self, plan: TrainPlan) -> list[tuple[str, str]]:
        guide = [("guide", plan.files.guide)] if plan.files.guide else []
        return [("perceptual", plan.files.vgg or "off"), *guide]

    def find_files(self, settings: TrainSettings) -> Files:
        files = Files()
        if settings.lambda_vgg:
            vgg = find_vgg19(settings.vgg_weights).absolute()
            read_vgg19(vgg)
            files = replace(files, vgg=str(vgg))
        if settings.guide is not None:
            guide = open_segmenter(Path(settings.guide).expanduser())
            guide.insist_on_classes(settings.label_nc, "guide")
            files = replace(files, guide=str(guide.path.absolute()))
        if settings.init_checkpoint is not None:
            files = replace(files, init=_find_checkpoint(settings, settings.init_checkpoint))
        return _with_judges(files, settings)

    def state_size(self, settings: TrainSettings) -> int:
        return state_size(settings.model, bool(settings.ema_decay), settings.recipe.critics + settings.recipe.heads)

    def compile(self, plan: TrainPlan) -> None:
        settings = plan.settings
        paints = bool(settings.display_every_steps or plan.held_out)
        warm_training(settings.model, settings.recipe, plan.at_once, plan.device, paints)
        files = plan.files
        if files.judges:
            warm_scoring(files.inception, files.segmenter, files.segmenter_size, plan.device)

    def build(self, plan: TrainPlan, world: World) -> Learner:
        from ecgan.segmentation import load_network
        from ecgan.training.learner import Learner

        vgg = read_vgg19(Path(plan.files.vgg)) if plan.files.vgg else None
        guide = load_network(open_segmenter(Path(plan.files.guide))) if plan.files.guide else None
        return Learner(plan.settings.model, plan.settings.recipe, world, vgg, guide)

    def first_arrays(self, plan: TrainPlan) -> Mapping[str, dict[str, np.ndarray]]:
        assert plan.files.init is not None
        checkpoint = open_checkpoint(Path(plan.files.init), plan.settings.which_epoch)
        arrays = {name: checkpoint.arrays(name) for name in _taken(checkpoint, plan.settings)}
        for network, there in arrays.items():  # which may get additions that it did not have
            for name, shape in (tensors.of_file(network, plan.settings.model) or {}).items():
                if name not in there:
                    first = FIRST_NOISE_STRENGTH if name.endswith("noise_strength") else 0.0
                    there[name] = np.full(shape, first, np.float32)
        return arrays

    def evaluation(self, plan: TrainPlan, trainee: Learner, world: World, say: Callable[[str], None]) -> Evaluate:
        from ecgan.scoring.evaluator import Evaluator
        from ecgan.training.evaluation.pictures import OfPictures
        from jobs.train.photos import statistics_of_photos

        files = plan.files
        inception = Path(files.inception) if files.inception else None
        network = open_segmenter(Path(files.segmenter)) if files.segmenter else None
        evaluator = Evaluator.load(inception, network, files.segmenter_size)
        photos = statistics_of_photos(plan, evaluator, world, say) if inception else None
        return OfPictures(trainee, plan.held_out, world, evaluator, photos)


def _option_of(weight: str) -> str:
    """The option that says how much a loss, or what judges a picture, counts."""
    return f"{weight}_weight" if weight in ("image", "edge", "image2") else weight


def _find_checkpoint(settings: TrainSettings, asked: str) -> str:
    path = located(Path(asked).expanduser())
    checkpoint = open_checkpoint(path, settings.which_epoch)
    networks = _taken(checkpoint, settings)
    if not _fits(checkpoint, settings.model, networks):
        here = settings.model.to_dict()
        differ = [
            f"{name} {theirs} (here {here[name]})"
            for name, theirs in checkpoint.model.to_dict().items()
            if here[name] != theirs
            and (name != "ndf" or {"D", "U"} & set(networks))
            and (name not in ADDITIONS or theirs)
        ]
        raise UserError(f"--init_checkpoint {path} is of another model: {', '.join(differ)}")
    checkpoint.verify(networks)
    return str(path.absolute())


def _taken(checkpoint: Checkpoint, settings: TrainSettings) -> list[str]:
    """The networks that it has and the training needs. A U-Net that halves pictures more often or less, for they had
    another size, is none of them: so a model that has one can grow, too."""
    as_deep = len(unet_widths(checkpoint.model)) == len(unet_widths(settings.model))
    needed = "GE" + settings.recipe.critics
    return [name for name in needed if name in checkpoint.files and (name != "U" or as_deep)]


def _fits(checkpoint: Checkpoint, model: ModelConfig, networks: Sequence[str]) -> bool:
    """Whether its tensors are those of `model` and mean the same: of pictures twice as large they are, where G has one
    upsampling more, so that a model can grow with its pictures. It can get additions, too."""
    theirs = ModelConfig.from_dict(checkpoint.model.to_dict() | dict.fromkeys(model.additions, True))
    alike = all(tensors.of_file(name, theirs) == tensors.of_file(name, model) for name in networks)
    return alike and theirs.spectral_norm == model.spectral_norm


def _with_judges(files: Files, settings: TrainSettings) -> Files:
    """With the networks that measure pictures of pairs held out."""
    if settings.segmenter:
        network = open_segmenter(Path(settings.segmenter).expanduser())
        network.insist_on_classes(settings.label_nc)
        size = network.size or fitting(settings.picture_size)
        files = replace(files, segmenter=str(network.path.absolute()), segmenter_size=size)
    if settings.inception_weights:
        inception = find_inception(settings.inception_weights)
        assert inception is not None
        read_inception(inception)
        photos = Path(settings.input_path).expanduser().absolute() / PHOTO_FOLDER
        files = replace(files, inception=str(inception.absolute()), photos=str(photos))
    return files
