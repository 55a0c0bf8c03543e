"""VGG-19's first ten convolutions, the trunk of part affinity fields (Simonyan and Zisserman, ICLR 2015)."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from poseg.errors import WeightsError

POOL = 0
LAYERS = (64, 64, POOL, 128, 128, POOL, 256, 256, 256, 256, POOL, 512, 512)
OUT_LAYERS = (17, 22)  # the last activations at strides 4 and 8, counted as torchvision's weights are


class Vgg19(nn.Module):
    """Features at strides 4 and 8 of normalised images (B, 3, 8 n, 8 m).

    Pooling takes blocks of pixels, so a cell stands in the middle of its block: `Grid(8, 4.0)`.

    channels   of the two features
    strides    their strides
    """

    strides = (4, 8)
    channels = (256, 512)

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

    def stem_modules(self) -> tuple[nn.Module, ...]:
        """The modules up to stride 4, which may stay frozen."""
        return tuple(list(self.features)[: OUT_LAYERS[0] + 1])

    def load_pretrained(self, state: Mapping[str, Tensor]) -> None:
        """Load classification weights under torchvision's names; layers beyond the tenth convolution are left out.

        Raises WeightsError where they are of another network.
        """
        own = self.state_dict()
        missing = [name for name, tensor in own.items() if name not in state or state[name].shape != tensor.shape]
        if missing:
            raise WeightsError(
                f"These weights are not VGG-19's: {missing[0]} is missing or of another shape; "
                "give a file with torchvision's names."
            )
        self.load_state_dict({name: state[name] for name in own})
