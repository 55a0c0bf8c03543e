"""MobileNetV1, the stride-16 form that PoseNet and BodyPix were published with (Howard et al., 2017).

Thirteen separable layers; the last one keeps the width of the one before and no layer goes beyond stride 16. Batch
norms are folded into the convolutions, as in the published files: this backbone is made to start from such weights
(`load_google`), not to be trained from nothing.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from poseg.errors import WeightsError

# Channels and stride of each separable layer at width 1; Howard et al., table 1, without the layers behind stride 16.
LAYERS = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *((512, 1),) * 7)
STEM_CHANNELS = 32
OUT_LAYERS = (2, 4, 12)  # the last layers at strides 4, 8 and 16


class Separable(nn.Module):
    """Depthwise 3x3, then pointwise, each with ReLU6."""

    def __init__(self, channels_in: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv_dw = nn.Conv2d(channels_in, channels_in, 3, stride, 1, groups=channels_in)
        self.conv_pw = nn.Conv2d(channels_in, channels, 1)
        self.act = nn.ReLU6(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) -> (B, C', h / stride, w / stride)."""
        y: Tensor = self.act(self.conv_pw(self.act(self.conv_dw(x))))
        return y


class MobileNetV1(nn.Module):
    """Features at strides 4, 8 and 16 of normalised images (B, 3, 16 n + 1, 16 m + 1).

    width     multiple of the paper's channels
    channels  channels of the three features
    strides   their strides
    """

    strides = (4, 8, 16)

    def __init__(self, width: float = 0.75) -> None:
        super().__init__()
        channels = int(STEM_CHANNELS * width)
        self.conv_stem = nn.Conv2d(3, channels, 3, 2, 1)
        self.act = nn.ReLU6(inplace=True)
        blocks = []
        for wide, stride in LAYERS:
            blocks.append(Separable(channels, int(wide * width), stride))
            channels = int(wide * width)
        self.blocks = nn.Sequential(*blocks)
        self.channels = tuple(int(LAYERS[layer][0] * width) for layer in OUT_LAYERS)

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Features, finest first."""
        x = self.act(self.conv_stem(image))
        features = []
        for index, block in enumerate(self.blocks):
            x = block(x)
            if index in OUT_LAYERS:
                features.append(x)
        return tuple(features)

    def stem_modules(self) -> tuple[nn.Module, ...]:
        """The modules up to stride 4, which may stay frozen: their features serve any task."""
        return self.conv_stem, *list(self.blocks)[: OUT_LAYERS[0] + 1]

    def load_pretrained(self, state: Mapping[str, Tensor]) -> None:
        """Load a state dict of this class. Raises WeightsError where it is of another network."""
        try:
            self.load_state_dict(dict(state))
        except RuntimeError as fault:
            raise WeightsError(
                f"These weights are not of MobileNetV1 in this width ({str(fault).splitlines()[-1].strip()}); "
                "give a state dict that this backbone saved."
            ) from None

    def load_google(self, layers: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> None:
        """Load the folded convolutions of PoseNet or BodyPix: weight (O, I / groups, h, w) and bias (O,), in order.

        Raises WeightsError where their number or shapes are another network's.
        """
        convolutions = [module for module in self.modules() if isinstance(module, nn.Conv2d)]
        if len(convolutions) != len(layers):
            raise WeightsError(f"Expected {len(convolutions)} convolutions, got {len(layers)}; give a MobileNetV1.")
        for convolution, (name, (weight, bias)) in zip(convolutions, layers.items(), strict=True):
            if tuple(convolution.weight.shape) != weight.shape:
                raise WeightsError(
                    f"Layer {name} has weights {weight.shape}, expected {tuple(convolution.weight.shape)}; "
                    "give a MobileNetV1 of the same width."
                )
            assert convolution.bias is not None
            with torch.no_grad():
                convolution.weight.copy_(torch.from_numpy(np.ascontiguousarray(weight)))
                convolution.bias.copy_(torch.from_numpy(np.ascontiguousarray(bias)))
