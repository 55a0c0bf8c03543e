"""Pose2Seg's head: features and skeletons of each person in an aligned crop, and the mask from them.

All people of a batch at once, on the device of the features. Letters: B images, P people in each, M = B P crops, K
joints, L limbs, S the crop's side.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from poseg.geometry.grid import PIXEL_CENTRE

JOINT_SIGMA_PX = 3.0
MIN_CONFIDENCE = 0.01
LIMB_HALF_WIDTH_PX = 1.0
EXPANSION = 4


def affine_align(features: Tensor, windows: Tensor, side_px: int, stride: int) -> Tensor:
    """Features (B, C, h, w) in crops (B, P, 2, 3), bilinear and 0 outside: (M, C, S, S).

    windows maps continuous pixels of a crop to those of the image; gradients go to the features alone.
    """
    channels = features.shape[1]
    at = torch.arange(side_px, device=features.device, dtype=torch.float32) + PIXEL_CENTRE
    y, x = torch.meshgrid(at, at, indexing="ij")
    pixel = torch.stack([x, y, torch.ones_like(x)]).reshape(3, -1)
    # Not a matrix product, and not half a float: in half precision points would be wrong by most of a cell.
    points = (windows.float()[..., None, :, :] * pixel.T[:, None]).sum(dim=-1)  # (B, P, S S, 2)
    cells = (points - PIXEL_CENTRE) / stride
    last = torch.stack([torch.as_tensor(n - 1, device=features.device) for n in (features.shape[3], features.shape[2])])
    crops = F.grid_sample(
        features.float(), 2 * cells / last - 1, mode="bilinear", padding_mode="zeros", align_corners=True
    )
    return crops.to(features.dtype).transpose(1, 2).reshape(-1, channels, side_px, side_px)  # from (B, C, P, S S)


class SkeletonFeatures(nn.Module):
    """A person's joints and limbs as maps of the crop (section 3.3 of the paper).

    K confidence maps, Gaussians of sigma 3 px that end where they fall under 0.01, and for each limb the two
    components of its unit vector, on pixels within 1 px of it.

    side_px  S
    limbs    pairs of joint numbers
    """

    pixels: Tensor
    first: Tensor
    second: Tensor

    def __init__(self, side_px: int, limbs: Sequence[tuple[int, int]]) -> None:
        super().__init__()
        at = torch.arange(side_px, dtype=torch.float32) + PIXEL_CENTRE
        y, x = torch.meshgrid(at, at, indexing="ij")
        self.side_px = side_px
        self.register_buffer("pixels", torch.stack([x, y]).reshape(2, -1), persistent=False)
        ends = torch.tensor(list(limbs), dtype=torch.long).reshape(-1, 2)
        self.register_buffer("first", ends[:, 0], persistent=False)
        self.register_buffer("second", ends[:, 1], persistent=False)

    def forward(self, joints: Tensor) -> Tensor:
        """(M, K, 3) x, y in the crop and whether there is one -> (M, K + 2 L, S, S)."""
        joints = joints.float()
        maps = torch.cat([self._joints(joints), self._limbs(joints)], dim=1)
        return maps.reshape(-1, maps.shape[1], self.side_px, self.side_px)

    def _joints(self, joints: Tensor) -> Tensor:
        """(M, K, S S) confidences."""
        offset = joints[..., :2, None] - self.pixels  # (M, K, 2, S S)
        confidence = torch.exp(-offset.square().sum(dim=2) / (2 * JOINT_SIGMA_PX**2))
        return confidence * (confidence >= MIN_CONFIDENCE) * joints[..., 2:]

    def _limbs(self, joints: Tensor) -> Tensor:
        """(M, 2 L, S S) unit vectors."""
        start, end = joints[:, self.first], joints[:, self.second]
        limb = end[..., :2] - start[..., :2]
        length = limb.square().sum(dim=-1, keepdim=True).clamp(min=1e-12).sqrt()
        unit = limb / length  # (M, L, 2)
        x, y = (self.pixels[axis] - start[..., axis : axis + 1] for axis in (0, 1))  # (M, L, S S)
        along = x * unit[..., :1] + y * unit[..., 1:]
        across = x * unit[..., 1:] - y * unit[..., :1]
        reach = LIMB_HALF_WIDTH_PX
        on_limb = (across.abs() < reach) & (along > -reach) & (along < length + reach) & (length > 1e-3)
        visible = on_limb * (start[..., 2:] * end[..., 2:])
        return (unit[..., None] * visible[:, :, None]).reshape(joints.shape[0], 2 * len(self.first), self.side_px**2)


class Bottleneck(nn.Module):
    """A residual bottleneck: 1x1, 3x3, 1x1, with a 1x1 shortcut where channels differ."""

    def __init__(self, channels_in: int, width: int) -> None:
        super().__init__()
        channels = width * EXPANSION
        self.conv1, self.bn1 = nn.Conv2d(channels_in, width, 1), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width)
        self.conv3, self.bn3 = nn.Conv2d(width, channels, 1), nn.BatchNorm2d(channels)
        self.shortcut: nn.Module | None = None
        if channels_in != channels:
            self.shortcut = nn.Sequential(nn.Conv2d(channels_in, channels, 1), nn.BatchNorm2d(channels))

    def forward(self, x: Tensor) -> Tensor:
        """(M, C, h, w) -> (M, 4 width, h, w)."""
        y = F.relu(self.bn1(self.conv1(x)))
        y = F.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return F.relu(y + (x if self.shortcut is None else self.shortcut(x)))


class MaskHead(nn.Module):
    """Pose2Seg's SegModule (section 3.4): half the crop's size, bottlenecks, the crop's size again, and a logit.

    channels_in   of features and skeleton features together
    stem_width    channels of the first convolution
    width         of the bottlenecks, which have four times as many channels out
    blocks        bottlenecks; ten see about 50 of the crop's 64 pixels
    out_width     of the bottleneck at the crop's own size
    channels_out  1 for a logit; 2 as published, for background and person

    The published network is MaskHead(311, 256, 256, 10, 128, channels_out=2), of 16,030,978 parameters.
    """

    def __init__(
        self, channels_in: int, stem_width: int, width: int, blocks: int, out_width: int, *, channels_out: int = 1
    ) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(channels_in, stem_width, 7, 2, 3), nn.BatchNorm2d(stem_width)
        channels = width * EXPANSION
        self.units = nn.Sequential(*(Bottleneck(channels if block else stem_width, width) for block in range(blocks)))
        self.last = Bottleneck(channels, out_width)
        self.logit = nn.Conv2d(out_width * EXPANSION, channels_out, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(M, C, S, S) -> (M, channels_out, S, S)."""
        y = self.units(F.relu(self.bn1(self.conv1(x))))
        y = F.interpolate(y, size=x.shape[-2:], mode="bilinear", align_corners=True)
        z: Tensor = self.logit(self.last(y))
        return z
