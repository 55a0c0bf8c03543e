"""Analysis: what a trained network has learnt. Torch is known to `receptive`, `neurons` and `report` alone."""
