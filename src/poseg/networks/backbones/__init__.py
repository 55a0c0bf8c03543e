"""Networks: backbones."""
