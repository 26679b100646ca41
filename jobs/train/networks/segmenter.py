"""The segmentation network as something to train."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ecgan.checkpoint.segmenter import SEGMENTER, open_segmenter
from ecgan.config import ModelConfig, SegformerShape
from ecgan.errors import UserError
from ecgan.memory import segmenter_state_size
from ecgan.runtime.warming import warm_segmenter
from ecgan.training.recipe import AdamSettings, Recipe
from jobs.commands import called
from jobs.train.files import Files
from jobs.train.networks.trainable import Trainable

if TYPE_CHECKING:
    from ecgan.training.evaluation import Evaluate
    from ecgan.training.segmenter import SegmenterLearner
    from ecgan.training.world import World
    from jobs.train.plan import TrainPlan
    from jobs.train.settings import TrainSettings


class SegmentationNetwork(Trainable["SegmenterLearner"]):
    title = "the segmentation network"
    use = f"score with\n  {called('score')} --segmenter"

    def model(self, settings: TrainSettings) -> ModelConfig:
        """Its smallest map is 32 times smaller than the photo, as with "normal" upsampling."""
        return ModelConfig(
            *settings.picture_size,
            label_nc=settings.label_nc,
            contain_dontcare_label=settings.contain_dontcare_label,
            num_upsampling_layers="normal",
        )

    def recipe(self, settings: TrainSettings) -> Recipe:
        beta1 = 0.9 if settings.beta1 is None else settings.beta1
        beta2 = 0.999 if settings.beta2 is None else settings.beta2
        return Recipe(adam=AdamSettings(beta1, beta2, two_time_scales=False), micro_batch=settings.micro_batch)

    def widths(self, settings: TrainSettings) -> str:
        return "SegFormer-B0"

    def find_files(self, settings: TrainSettings) -> Files:
        if settings.init_checkpoint is None:
            return Files()
        path = Path(settings.init_checkpoint).expanduser()
        found = open_segmenter(path)
        if found.shape != SegformerShape(settings.label_nc):
            raise UserError(
                f"--init_checkpoint {path} is no SegFormer-B0 of {settings.label_nc} classes: {found.shape}"
            )
        return Files(init=str(found.path.absolute()))

    def state_size(self, settings: TrainSettings) -> int:
        return segmenter_state_size(settings.model)

    def compile(self, plan: TrainPlan) -> None:
        warm_segmenter(plan.settings.model, plan.settings.recipe, plan.at_once, plan.device)

    def build(self, plan: TrainPlan, world: World) -> SegmenterLearner:
        from ecgan.training.segmenter import SegmenterLearner

        return SegmenterLearner(plan.settings.model, plan.settings.recipe, world)

    def first_arrays(self, plan: TrainPlan) -> Mapping[str, dict[str, np.ndarray]]:
        assert plan.files.init is not None
        return {SEGMENTER: open_segmenter(Path(plan.files.init)).arrays()}

    def evaluation(
        self, plan: TrainPlan, trainee: SegmenterLearner, world: World, say: Callable[[str], None]
    ) -> Evaluate:
        from ecgan.training.evaluation.segmenter import OfSegmenter

        return OfSegmenter(trainee, plan.held_out, world)
