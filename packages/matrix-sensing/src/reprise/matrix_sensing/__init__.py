"""Gradient descent from a small start finds the low-rank matrix."""
