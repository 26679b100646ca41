"""The loss terms of ECGAN, each as a function of network outputs (docs/specification.md, section 3).

What D says of a picture is, for each scale, the list of its layers' outputs, the last being the
logits; a term over scales is the mean of their terms.
"""

from __future__ import annotations

from collections.abc import Callable

from ecgan.runtime import jt, nn
from ecgan.training.recipe import GanMode

#: For each scale the outputs of D's layers.
Verdict = list[list[jt.Var]]


def adversarial_generator(fake: Verdict, mode: GanMode) -> jt.Var:
    """What G minimises: the critic is to take its pictures for real."""
    return mean_over_scales(fake, lambda logits: _towards(logits, True, mode, for_generator=True))


def adversarial_discriminator(verdict: Verdict, is_real: bool, mode: GanMode) -> jt.Var:
    """What D minimises on real or on generated pictures."""
    return mean_over_scales(verdict, lambda logits: _towards(logits, is_real, mode, for_generator=False))


def feature_matching(fake: Verdict, real: Verdict) -> jt.Var:
    """L1 between D's features of fake and real pictures, all layers but the logits; the real side is detached."""
    terms = [
        (ours - theirs.detach()).abs().mean()
        for fake_layers, real_layers in zip(fake, real, strict=True)
        for ours, theirs in zip(fake_layers[:-1], real_layers[:-1], strict=True)
    ]
    return sum(terms[1:], terms[0]) / len(fake)


def kl_divergence(mu: jt.Var, logvar: jt.Var) -> jt.Var:
    """-0.5 * sum(1 + logvar - mu^2 - exp(logvar)), summed over the batch."""
    return -0.5 * (1 + logvar - mu.sqr() - logvar.exp()).sum()


def cross_entropy(logits: jt.Var, one_hot: jt.Var) -> jt.Var:
    """In nats, summed over all pixels; both are (N, classes, H, W), and a pixel without a class counts as 0."""
    scaled = logits - logits.max(1, keepdims=True).stop_grad()
    return ((jt.log(jt.exp(scaled).sum(1, keepdims=True)) - scaled) * one_hot).sum()


def mean_over_scales(verdict: Verdict, term: Callable[[jt.Var], jt.Var]) -> jt.Var:
    """Of a term of the logits."""
    terms = [term(layers[-1]) for layers in verdict]
    return sum(terms[1:], terms[0]) / len(terms)


def _towards(logits: jt.Var, is_real: bool, mode: GanMode, for_generator: bool) -> jt.Var:
    sign = 1 if is_real else -1
    if mode == "w" or (mode == "hinge" and for_generator):
        return -sign * logits.mean()
    if mode == "hinge":
        return (1 - sign * logits).maximum(0).mean()
    if mode == "ls":
        return (logits - float(is_real)).sqr().mean()
    return nn.softplus(-sign * logits).mean()  # cross entropy with the label, from logits
