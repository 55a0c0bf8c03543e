"""Losses: pure functions on tensors, masked by weights. torch lives here."""
