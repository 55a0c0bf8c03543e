"""Datasets: sequences of samples, each a picture with what is known of its people."""
