"""Options of a training that mean nothing by themselves, or not with each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ecgan.errors import UserError

if TYPE_CHECKING:
    from jobs.train.settings import TrainSettings


def insist_on_relations(settings: TrainSettings) -> None:
    """Raises UserError naming the option that has no meaning beside the others."""
    if settings.niter + settings.niter_decay < 1:
        raise UserError("--niter and --niter_decay are both 0: there is nothing to train")
    if not settings.image_weight + settings.edge_weight + settings.image2_weight:
        raise UserError("--image_weight, --edge_weight and --image2_weight are all 0: G would learn from nothing")
    if settings.init_type == "kaiming" and settings.init_variance != type(settings).init_variance:
        raise UserError("--init_variance is a gain, and weights that --init_type kaiming draws have none")
    if settings.which_epoch is not None and settings.init_checkpoint is None:
        raise UserError("--which_epoch belongs to --init_checkpoint, which is not given")
    halvings = settings.num_D - 1 + settings.n_layers_D - 1
    has_patches = settings.network == "ecgan" and settings.discriminator != "segmentation"
    if has_patches and not min(settings.picture_size) >> halvings:
        raise UserError(
            f"--num_D {settings.num_D} and --n_layers_D {settings.n_layers_D} halve a picture {halvings} times, and "
            f"one of --size {settings.size} has nothing left then"
        )
    for name in ("segmenter", "inception_weights"):
        if getattr(settings, name) is not None and not settings.held_out:
            raise UserError(f"--{name} measures pictures of pairs held out, and there are none: say --held_out 200")
    if settings.eval_every_epochs not in (0, type(settings).eval_every_epochs) and not settings.held_out:
        raise UserError("--eval_every_epochs measures pairs held out, and there are none: say --held_out 200")
    if settings.vgg_weights is not None and not settings.lambda_vgg:
        raise UserError("--vgg_weights belongs to the perceptual loss, and --lambda_vgg is 0")
    guided = settings.lambda_guide or settings.lambda_guide_feat
    if settings.guide is None and guided:
        raise UserError("--lambda_guide and --lambda_guide_feat need a segmentation network: name it with --guide")
    if settings.guide is not None and not guided:
        raise UserError("--guide has no weight: say --lambda_guide or --lambda_guide_feat")
    if guided and not settings.image_weight + settings.image2_weight:
        raise UserError("--guide judges image and image2, and --image_weight and --image2_weight are 0")
    for name in ("lambda_tone", "lambda_texture"):
        if getattr(settings, name) and not settings.image_weight + settings.image2_weight:
            raise UserError(f"--{name} judges image and image2, and --image_weight and --image2_weight are 0")
    for name in ("r1_sigma", "r1_every"):
        if getattr(settings, name) != getattr(type(settings), name) and not settings.lambda_r1:
            raise UserError(f"--{name} belongs to R1 regularisation, and --lambda_r1 is 0")
    _insist_on_contrast(settings)
    _insist_on_critics(settings)
    if settings.samples != type(settings).samples and not settings.display_every_steps:
        raise UserError("--samples says how many are painted, and with --display_every_steps 0 none are")
    if settings.inception_weights is not None and settings.held_out < 2:
        raise UserError("--inception_weights needs --held_out 2 at least: one picture has no distance")


def _insist_on_contrast(settings: TrainSettings) -> None:
    if not settings.lambda_contrast:
        if settings.contrast_temperature != type(settings).contrast_temperature:
            raise UserError(
                "--contrast_temperature belongs to the contrast between classes, and --lambda_contrast is 0"
            )
        return
    if settings.label_nc < 2:
        raise UserError("--lambda_contrast is between classes, and --label_nc is 1")
    for name in ("batch_size", "micro_batch"):
        if getattr(settings, name) == 1:
            raise UserError(
                f"--lambda_contrast compares pictures that go through G together, and --{name} is 1: say 2 or more"
            )


def _insist_on_critics(settings: TrainSettings) -> None:
    if settings.discriminator == "patch" and settings.lambda_labelmix:
        raise UserError("--lambda_labelmix belongs to --discriminator segmentation or both")
    if settings.discriminator != "patch" and not settings.image_weight + settings.image2_weight:
        raise UserError(
            f"--discriminator {settings.discriminator} judges image and image2, and --image_weight and --image2_weight "
            "are 0"
        )
    if settings.discriminator == "segmentation":
        of_patches = ("num_D", "n_layers_D", "gan_mode", "lambda_lecam", "lambda_r1", "augment")
        wanted = {name: getattr(type(settings), name) for name in of_patches} | {"lambda_feat": 0}
        for name, value in wanted.items():
            if getattr(settings, name) != value:
                raise UserError(
                    f"--{name} is for critics of patches, and with --discriminator segmentation there are none: "
                    f"say --{name} {value}"
                )
        if settings.edge_weight not in (0, type(settings).edge_weight) and not settings.lambda_vgg + settings.lambda_l1:
            raise UserError(
                "--edge_weight is of what judges the edge map, and with --discriminator segmentation, --lambda_vgg 0 "
                "and --lambda_l1 0 nothing does"
            )
