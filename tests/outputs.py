"""What the networks of a checkpoint compute in evaluation mode, under the names of the original's fixture."""

from __future__ import annotations

import numpy as np

from ecgan.checkpoint import Checkpoint


def outputs(checkpoint: Checkpoint, labels: np.ndarray, photos: np.ndarray) -> dict[str, np.ndarray]:
    """Outputs of E, of G at z = mu, and of D on image2 and on the photos.

    `labels`: (N, H, W) class ids; `photos`: (N, H, W, 3) uint8; at the network's size.
    """
    from ecgan.networks import Discriminator, Segmap, load_arrays
    from ecgan.runtime import jt
    from ecgan.synthesis import Synthesiser, to_network

    painter = Synthesiser(checkpoint)
    critic = Discriminator(checkpoint.model)
    load_arrays(critic, checkpoint.arrays("D"), "D")
    critic.eval()
    segmap = Segmap(labels, checkpoint.model.semantic_nc)
    with jt.no_grad():
        mu, logvar = painter.encode(photos)
        pictures = painter.generator(jt.array(mu), painter.mask(labels))
        one_hot = segmap.at(*labels.shape[1:])
        judged = [jt.concat([one_hot, seen], dim=1) for seen in (pictures.image2, jt.array(to_network(photos)))]
        scales = critic(jt.concat(judged, dim=0))
    values = {
        "mu": mu,
        "logvar": logvar,
        "image": pictures.image.numpy(),
        "image2": pictures.image2.numpy(),
        "edge_map": pictures.edge.numpy(),
    }
    for scale, layers in enumerate(scales):
        values[f"D{scale}_fake_logits"], values[f"D{scale}_real_logits"] = np.split(layers[-1].numpy(), 2)
    return values
