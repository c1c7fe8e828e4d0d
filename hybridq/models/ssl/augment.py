"""Make random views of images in batches, for grey and for colour medical images.

The choice of augmentations follows SimCLR (Chen et al., arXiv:2002.05709, appendix A) with milder
colour jitter, since strong jitter destroys the features that carry the diagnosis in medical images.
Images below 64 pixels are not blurred, since they would lose their texture.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from hybridq.config import AugmentConfig
from hybridq.models.ssl.hue import shift_hue

Channels: TypeAlias = tuple[float, float, float]

SMALLEST_BLURRED = 64
"""The side in pixels, before any enlargement, below which images are not blurred."""

OF_THE_BATCH = frozenset({"order", "forward_input_shape"})
"""The parameters that Kornia draws once for a batch (order of the jitters, shape)."""


class Augment(nn.Module):
    """Random crop, flips, rotation, brightness and contrast, drawn for each image.

    Args:
        config: The strengths, which are probabilities, factors or degrees as named there.
        image_size: Height and width of the result, in pixels.
        mean: Mean of each channel, on a scale of 0 to 1, which is subtracted; or several such, of
            one set each.
        std: Standard deviation of each channel, by which the result is divided; or several such.
        colour: Whether the images are colour; hue and saturation of grey ones stay untouched.

    Shape: uint8 `(batch, 1 or 3, height, width)` to float `(batch, 3, image_size, image_size)`,
    normalised. Random numbers come from torch's global generator, so a caller
    who wants them repeatable wraps the call in `hybridq.training.seeding.step_generator`.
    """

    def __init__(
        self,
        config: AugmentConfig,
        *,
        image_size: int,
        mean: Channels | Sequence[Channels],
        std: Channels | Sequence[Channels],
        colour: bool,
    ) -> None:
        super().__init__()
        import kornia.augmentation as kornia

        steps: list[nn.Module] = [
            kornia.RandomResizedCrop(
                (image_size, image_size),
                scale=(config.crop_min, 1.0),
                ratio=(0.8, 1.25),
                p=1.0,
            )
        ]
        if config.horizontal_flip:
            steps.append(kornia.RandomHorizontalFlip(p=0.5))
        if config.vertical_flip:
            steps.append(kornia.RandomVerticalFlip(p=0.5))
        if config.rotation:
            # The corners that a rotation uncovers are filled with the mirrored image.
            steps.append(
                kornia.RandomAffine(degrees=config.rotation, p=0.8, padding_mode="reflection")
            )
        if config.jitter:
            jitter = kornia.ColorJitter(
                brightness=config.jitter,
                contrast=config.jitter,
                saturation=config.jitter if colour else 0.0,
                hue=min(0.5, config.jitter / 8) if colour else 0.0,
                p=0.8,
            )
            # The same to rounding as Kornia's own, which takes most of the time of a view.
            jitter._hue_fn = shift_hue
            steps.append(jitter)
        self.blur: nn.Module | None = None
        if config.blur:
            kernel = max(3, image_size // 16 * 2 + 1)
            self.blur = kornia.RandomGaussianBlur((kernel, kernel), (0.1, 1.5), p=config.blur)
            steps.append(self.blur)
        if config.noise:
            steps.append(kornia.RandomGaussianNoise(std=config.noise, p=0.5))
        if config.erase:
            steps.append(kornia.RandomErasing(scale=(0.02, 0.15), p=config.erase))
        self.steps = nn.Sequential(*steps)
        self.colour = colour
        self.register_buffer("mean", torch.tensor(mean).view(-1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(-1, 3, 1, 1), persistent=False)
        self.mean: Tensor
        self.std: Tensor

    @torch.no_grad()
    def forward(self, images: Tensor, sets: Tensor | None = None) -> Tensor:
        """Return one random view of each image.

        Args:
            images: The images.
            sets: `(batch,)` numbers of the sets of the images, where there are several.
        """
        small = min(images.shape[-2:]) < SMALLEST_BLURRED
        # A grey image has one channel, and is changed as one; normalising makes three of it.
        views = images.to(self.mean.dtype) / 255
        views = views.expand(-1, 3, -1, -1) if self.colour else views[:, :1]
        for step in self.steps:
            if not (small and step is self.blur):
                views = _on_drawn(step, views)
        return self.normalise(views, sets)

    def normalise(self, views: Tensor, sets: Tensor | None = None) -> Tensor:
        """Normalise images `(batch, 1 or 3, height, width)` on a scale of 0 to 1."""
        if sets is None:
            return (views - self.mean) / self.std
        return (views - self.mean[sets]) / self.std[sets]


def _on_drawn(step: Any, images: Tensor) -> Tensor:
    """Apply a step of Kornia only to the images that it has drawn.

    The result equals `step(images)` up to the rounding of a blur, but `step` would compute all
    images and then discard those that were not drawn.
    """
    drawn = step.forward_parameters(images.shape)
    # On the CPU, rows choose from a tensor of any device.
    rows = (drawn["batch_prob"] > 0.5).nonzero().squeeze(1).cpu()
    if not len(rows):
        return images
    changed: Tensor
    if len(rows) == len(images):  # a crop, for one, which changes the size too
        changed = step(images, params=drawn)
        return changed
    of_rows = {
        name: value if name in OF_THE_BATCH else value[rows] for name, value in drawn.items()
    }
    changed = step(images[rows], params=of_rows)
    return images.index_copy(0, rows.to(images.device), changed)
