"""Windows on features, and the skeleton of the person in each, painted: what Pose2Seg's last part reads.

All people of a batch at once, on the device of the features. Letters: B pictures, P people in each, K joints, L limbs,
S the window's side.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from poseg.geometry.grid import PIXEL_CENTRE

JOINT_SIGMA_PX = 3.0
LIMB_HALF_WIDTH_PX = 1.0


def cut_windows(features: Tensor, windows: Tensor, side_px: int, stride: int) -> Tensor:
    """Features (B, C, h, w) in windows (B, P, 2, 3), bilinear and 0 outside: (B P, C, S, S).

    windows maps continuous pixels of a window to those of the picture; gradients go to the features alone.
    """
    channels = features.shape[1]
    at = torch.arange(side_px, device=features.device, dtype=torch.float32) + PIXEL_CENTRE
    y, x = torch.meshgrid(at, at, indexing="ij")
    pixel = torch.stack([x, y, torch.ones_like(x)]).reshape(3, -1)
    # Not a matrix product, and not half a float: in half precision places would be wrong by most of a cell.
    place = (windows.float()[..., None, :, :] * pixel.T[:, None]).sum(dim=-1)  # (B, P, S S, 2)
    cells = (place - PIXEL_CENTRE) / stride
    last = torch.stack([torch.as_tensor(n - 1, device=features.device) for n in (features.shape[3], features.shape[2])])
    cut = F.grid_sample(
        features.float(), 2 * cells / last - 1, mode="bilinear", padding_mode="zeros", align_corners=True
    )
    return cut.to(features.dtype).transpose(1, 2).reshape(-1, channels, side_px, side_px)  # from (B, C, P, S S)


class SkeletonMaps(nn.Module):
    """A person's joints and limbs as maps of its window (section 3.3 of the paper).

    K confidence maps, Gaussians of sigma 3 px that end where they fall under 0.01, and for each limb the two
    components of its unit vector, on pixels within 1 px of it.

    side_px  S
    limbs    pairs of joint numbers
    """

    near: Tensor
    first: Tensor
    second: Tensor

    def __init__(self, side_px: int, limbs: Sequence[tuple[int, int]]) -> None:
        super().__init__()
        at = torch.arange(side_px, dtype=torch.float32) + PIXEL_CENTRE
        y, x = torch.meshgrid(at, at, indexing="ij")
        self.side_px = side_px
        self.register_buffer("near", torch.stack([x, y]).reshape(2, -1), persistent=False)
        ends = torch.tensor(list(limbs), dtype=torch.long).reshape(-1, 2)
        self.register_buffer("first", ends[:, 0], persistent=False)
        self.register_buffer("second", ends[:, 1], persistent=False)

    def forward(self, joints: Tensor) -> Tensor:
        """(M, K, 3) x, y in the window and whether there is one -> (M, K + 2 L, S, S)."""
        joints = joints.float()
        maps = torch.cat([self._joints(joints), self._limbs(joints)], dim=1)
        return maps.reshape(-1, maps.shape[1], self.side_px, self.side_px)

    def _joints(self, joints: Tensor) -> Tensor:
        """(M, K, S S) confidences."""
        away = joints[..., :2, None] - self.near  # (M, K, 2, S S)
        confidence = torch.exp(-away.square().sum(dim=2) / (2 * JOINT_SIGMA_PX**2))
        return confidence * (confidence >= 0.01) * joints[..., 2:]

    def _limbs(self, joints: Tensor) -> Tensor:
        """(M, 2 L, S S) unit vectors."""
        start, end = joints[:, self.first], joints[:, self.second]
        limb = end[..., :2] - start[..., :2]
        length = limb.square().sum(dim=-1, keepdim=True).clamp(min=1e-12).sqrt()
        along = limb / length  # (M, L, 2)
        x, y = (self.near[axis] - start[..., axis : axis + 1] for axis in (0, 1))  # (M, L, S S)
        forth = x * along[..., :1] + y * along[..., 1:]
        aside = x * along[..., 1:] - y * along[..., :1]
        reach = LIMB_HALF_WIDTH_PX
        on = (aside.abs() < reach) & (forth > -reach) & (forth < length + reach) & (length > 1e-3)
        there = on * (start[..., 2:] * end[..., 2:])
        return (along[..., None] * there[:, :, None]).reshape(joints.shape[0], 2 * len(self.first), self.side_px**2)
