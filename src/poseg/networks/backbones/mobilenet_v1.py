"""MobileNetV1, the stride-16 form that PoseNet and BodyPix were published with (Howard et al., 2017).

Thirteen separable layers; the last one keeps the width of the one before and no layer goes beyond stride 16. Batch
norms are folded into the convolutions, as in the published files: this backbone is made to start from such weights
(`load_google`), not to be trained from nothing.
"""

from __future__ import annotations

from torch import Tensor, nn

from poseg.errors import WeightsError
from poseg.networks.backbones.backbone import Backbone, Layers, folded_state

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


class MobileNetV1(Backbone):
    """Features at strides 4, 8 and 16 of normalised images (B, 3, 16 n + 1, 16 m + 1).

    width   multiple of the paper's channels
    """

    name = "this MobileNetV1"
    strides = (4, 8, 16)
    stem_names = ("conv_stem", *(f"blocks.{layer}" for layer in range(OUT_LAYERS[0] + 1)))

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

    def load_google(self, layers: Layers) -> None:
        """Load the folded convolutions of PoseNet or BodyPix, in order: weight (O, I / groups, h, w) and bias (O,).

        Raises WeightsError where their number or shapes are another network's.
        """
        names = [name for name, module in self.named_modules() if isinstance(module, nn.Conv2d)]
        if len(names) != len(layers):
            raise WeightsError(f"Expected {len(names)} convolutions, got {len(layers)}; give a MobileNetV1.")
        self.load_pretrained(folded_state(dict(zip(names, layers.values(), strict=True))))
