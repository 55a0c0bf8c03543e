"""Metrics: scores from ground truth and results. Arrays and records in, numbers out."""
