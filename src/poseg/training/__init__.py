"""Training: loader, loop, average of weights, checkpoints. torch lives here."""
