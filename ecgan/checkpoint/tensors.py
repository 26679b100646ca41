"""Names and shapes of the networks' tensors, known without building them, and whether a file's are these.

docs/specification.md, section 2, has the networks; a test holds this against what Jittor builds.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

from ecgan.config import COLOUR_SQUARES, EMBEDDING, ModelConfig, SegformerShape, unet_widths
from ecgan.errors import UserError

Shapes = dict[str, tuple[int, ...]]

#: Ends of the names of tensors that do not learn.
NOT_TRAINED = (".weight_u", ".weight_v", ".running_mean", ".running_var")
#: Begins the names of the files of a state that hold an optimiser's moments; then come the networks it trains.
OPTIMISER = "adam_"
#: Begins the names of the tensors of SegFormer's encoder.
_SEGFORMER = "segformer.encoder"
#: How many misfits a message names.
_SHOWN = 5


def of_file(name: str, model: ModelConfig) -> Shapes | None:
    """What the file of a state or checkpoint that is called `name`, without ending, must hold; None of one that is
    not known here."""
    if name.startswith(OPTIMISER):
        found: Shapes = {}
        for part in name.removeprefix(OPTIMISER):
            learnt = trained(of_file(part, model) or {})
            found |= {f"{part}.{tensor}.{kind}": shape for tensor, shape in learnt.items() for kind in ("m", "v")}
        return found or None
    networks = {"G": _generator, "G_ema": _generator, "E": _encoder, "D": _discriminator, "S": _segmenter}
    networks |= {"U": _segmentation_discriminator, "P": _projection_head}
    return networks[name](model) if name in networks else None


def of_segformer(shape: SegformerShape) -> Shapes:
    """Names and shapes of all tensors that the network needs."""
    encoder, decoder = _SEGFORMER, shape.decoder
    layers: Shapes = {}  # shapes of their weights
    for i, (fin, width) in enumerate(zip((3, *shape.widths), shape.widths, strict=False)):
        kernel = 3 if i else 7
        layers |= {f"{encoder}.patch_embeddings.{i}.proj": (width, fin, kernel, kernel)}
        layers |= {f"{encoder}.patch_embeddings.{i}.layer_norm": (width,), f"{encoder}.layer_norm.{i}": (width,)}
        layers |= {f"decode_head.linear_c.{i}.proj": (decoder, width)}
        for j in range(shape.depths[i]):
            parts = _segformer_block(width, shape.reductions[i])
            layers |= {f"{encoder}.block.{i}.{j}.{part}": of_part for part, of_part in parts.items()}
    layers |= {"decode_head.batch_norm": (decoder,), "decode_head.classifier": (shape.classes, decoder, 1, 1)}
    found = {f"{layer}.weight": of_layer for layer, of_layer in layers.items()}
    found |= {f"{layer}.bias": of_layer[:1] for layer, of_layer in layers.items()}
    found |= {f"decode_head.batch_norm.running_{kind}": (decoder,) for kind in ("mean", "var")}
    return found | {"decode_head.linear_fuse.weight": (decoder, len(shape.widths) * decoder, 1, 1)}


def segformer_of(shapes: Mapping[str, tuple[int, ...]]) -> SegformerShape:
    """What tensors of these shapes belong to. Raises KeyError if that is no SegFormer of any size."""
    encoder, stages = _SEGFORMER, range(len(SegformerShape.heads))
    return SegformerShape(
        classes=shapes["decode_head.classifier.weight"][0],
        widths=tuple(shapes[f"{encoder}.patch_embeddings.{i}.proj.weight"][0] for i in stages),
        depths=tuple(
            len([name for name in shapes if re.fullmatch(rf"{encoder}\.block\.{i}\.\d+\.layer_norm_1\.bias", name)])
            for i in stages
        ),
        reductions=tuple(shapes.get(f"{encoder}.block.{i}.0.attention.self.sr.weight", (1,))[-1] for i in stages),
        decoder=shapes["decode_head.linear_fuse.weight"][0],
    )


def trained(shapes: Mapping[str, tuple[int, ...]]) -> Shapes:
    """Those of the tensors that learn."""
    return {name: shape for name, shape in shapes.items() if not name.endswith(NOT_TRAINED)}


def count(shapes: Mapping[str, tuple[int, ...]]) -> int:
    """How many numbers they are."""
    return sum(math.prod(shape) for shape in shapes.values())


def insist_on_fit(
    what: str, wanted: Mapping[str, tuple[int, ...]], found: Mapping[str, tuple[int, ...]], whole: str = "the network"
) -> None:
    """Raises UserError that begins with `what` and names tensors that are missing, left over or of another shape."""
    faults = [f"{name} is missing" for name in wanted if name not in found]
    faults += [f"{name} is not part of {whole}" for name in found if name not in wanted]
    faults += [
        f"{name} has shape {tuple(found[name])}, {whole}'s is {shape}"
        for name, shape in wanted.items()
        if name in found and tuple(found[name]) != shape
    ]
    if faults:
        shown = "; ".join(faults[:_SHOWN]) + (f"; and {len(faults) - _SHOWN} more" if len(faults) > _SHOWN else "")
        raise UserError(f"{what} does not fit {whole}: {shown}")


def _generator(model: ModelConfig) -> Shapes:
    ngf, classes = model.ngf, model.semantic_nc
    h0, w0 = model.latent_size
    blocks = {"head_0": (16, 16), "G_middle_0": (16, 16), "G_middle_1": (16, 16)}
    blocks |= {"up_0": (16, 8), "up_1": (8, 4), "up_2": (4, 2), "up_3": (2, 1)}
    widths = {name: (fin * ngf, fout * ngf) for name, (fin, fout) in blocks.items()}
    last = ngf
    if model.num_upsampling_layers == "most":
        last = ngf // 2
        widths["up_4"] = (ngf, last)
    found = _layer("fc", 16 * ngf * h0 * w0, model.z_dim)
    for name, (fin, fout) in widths.items():
        found |= _spade_block(name, fin, fout, classes)
        if model.noise_maps and name.startswith("up_"):
            found[f"{name}.noise_strength"] = (min(fin, fout),)
    heads = (last, 32, 16, 8, 3)
    for k in range(1, 5):
        for branch in ("img", "edge"):
            found |= _layer(f"conv_{branch}{k}", heads[k], heads[k - 1], 3, 3)
    mixed = last + 6 + classes
    if model.noise_maps:
        found["noise_strength"] = (mixed, classes)
    found |= _layer("conv_comb1", model.label_nc, mixed, 3, 3) | _layer("conv_comb2", mixed, model.label_nc, 3, 3)
    return found | _layer("conv_comb", 3, mixed, 3, 3) | _layer("fc1", model.label_nc, model.label_nc)


def _spade_block(name: str, fin: int, fout: int, classes: int) -> Shapes:
    middle = min(fin, fout)
    found = _spectral(f"{name}.conv_0", middle, fin, 3) | _spectral(f"{name}.conv_1", fout, middle, 3)
    norms = {"norm_0": fin, "norm_1": middle}
    if fin != fout:
        found |= _spectral(f"{name}.conv_s", fout, fin, 1, bias=False)
        norms["norm_s"] = fin
    for norm, channels in norms.items():
        found |= {f"{name}.{norm}.param_free_norm.running_{kind}": (channels,) for kind in ("mean", "var")}
        found |= _layer(f"{name}.{norm}.mlp_shared.0", 128, classes, 3, 3)
        found |= _layer(f"{name}.{norm}.mlp_gamma", channels, 128, 3, 3)
        found |= _layer(f"{name}.{norm}.mlp_beta", channels, 128, 3, 3)
    return found


def _encoder(model: ModelConfig) -> Shapes:
    widths = [3, *(model.ngf * k for k in (1, 2, 4, 8, 8, 8))]
    found: Shapes = {}
    for k in range(1, 7):
        found |= _spectral(f"layer{k}.0", widths[k], widths[k - 1], 3, bias=False)
    features = 16 * widths[-1]
    if model.colour_means:
        found |= _layer("colour_means", model.z_dim, 3 * COLOUR_SQUARES**2)
    return found | _layer("fc_mu", model.z_dim, features) | _layer("fc_var", model.z_dim, features)


def _discriminator(model: ModelConfig) -> Shapes:
    found: Shapes = {}
    for scale in range(model.num_D):
        name, channels = f"sequential.discriminator_{scale}.models.model", model.ndf
        found |= _layer(f"{name}0.0", channels, model.semantic_nc + 3, 4, 4)
        for k in range(1, model.n_layers_D):
            fin, channels = channels, min(2 * channels, 512)
            found |= _spectral(f"{name}{k}.0.0", channels, fin, 4, bias=False)
        found |= _layer(f"{name}{model.n_layers_D}.0", 1, channels, 4, 4)
    return found


def _segmentation_discriminator(model: ModelConfig) -> Shapes:
    channels = unet_widths(model)
    blocks = {f"down.{i}": pair for i, pair in enumerate(zip([3, *channels[:-1]], channels, strict=True))}
    levels = zip(channels, channels[1:], strict=False)
    blocks |= {f"up.{i}": (below + beside, beside) for i, (beside, below) in enumerate(levels)}
    found = _spectral("classify", model.label_nc + 1, channels[0], 1, bias=False)
    for name, (fin, fout) in blocks.items():
        found |= _spectral(f"{name}.conv_0", fout, fin, 3) | _spectral(f"{name}.conv_1", fout, fout, 3)
        found |= _spectral(f"{name}.conv_s", fout, fin, 1, bias=False)
    return found


def _projection_head(model: ModelConfig) -> Shapes:
    channels = 8 * model.ngf
    return _layer("hidden", channels, channels) | _layer("out", EMBEDDING, channels)


def _segmenter(model: ModelConfig) -> Shapes:
    return of_segformer(SegformerShape(model.label_nc))


def _segformer_block(width: int, reduction: int) -> Shapes:
    """Layers of a block with the shapes of their weights."""
    square = ("attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense")
    found: Shapes = dict.fromkeys(square, (width, width))
    found |= dict.fromkeys(("layer_norm_1", "layer_norm_2"), (width,))
    found |= {"mlp.dense1": (4 * width, width), "mlp.dense2": (width, 4 * width)}
    found |= {"mlp.dwconv.dwconv": (4 * width, 1, 3, 3)}
    if reduction > 1:
        found |= {"attention.self.sr": (width, width, reduction, reduction), "attention.self.layer_norm": (width,)}
    return found


def _layer(name: str, *shape: int) -> Shapes:
    return {f"{name}.weight": shape, f"{name}.bias": shape[:1]}


def _spectral(name: str, fout: int, fin: int, kernel: int, bias: bool = True) -> Shapes:
    found: Shapes = {f"{name}.weight_orig": (fout, fin, kernel, kernel)}
    found |= {f"{name}.weight_u": (fout,), f"{name}.weight_v": (fin * kernel * kernel,)}
    return found | ({f"{name}.bias": (fout,)} if bias else {})
