"""VGG-19's first ten convolutions, the backbone of part affinity fields (Simonyan and Zisserman, ICLR 2015)."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from poseg.networks.backbones.backbone import Backbone

POOL = 0
LAYERS = (64, 64, POOL, 128, 128, POOL, 256, 256, 256, 256, POOL, 512, 512)
OUT_LAYERS = (17, 22)  # the last activations at strides 4 and 8, counted as torchvision's weights are


class Vgg19(Backbone):
    """Features at strides 4 and 8 of normalised images (B, 3, 8 n, 8 m).

    Pooling takes blocks of pixels, so a cell is at the centre of its block: `Grid(8, 4.0)`.
    """

    name = "VGG-19"
    strides = (4, 8)
    channels = (256, 512)
    stem_names = tuple(f"features.{layer}" for layer in range(OUT_LAYERS[0] + 1))

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        for width in LAYERS:
            if width == POOL:
                layers.append(nn.MaxPool2d(2, 2))
                continue
            layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()]
            channels = width
        self.features = nn.Sequential(*layers)

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Features, finest first."""
        x, features = image, []
        for index, layer in enumerate(self.features):
            x = layer(x)
            if index in OUT_LAYERS:
                features.append(x)
        return tuple(features)

    def load_pretrained(self, state: Mapping[str, Tensor]) -> None:
        """As `Backbone` does, by torchvision's names; layers beyond the tenth convolution are left out."""
        super().load_pretrained({name: state[name] for name in self.state_dict() if name in state})
