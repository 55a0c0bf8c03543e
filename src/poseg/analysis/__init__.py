"""Analysis of trained networks. Only `receptive_field`, `neurons` and `report` import torch."""
