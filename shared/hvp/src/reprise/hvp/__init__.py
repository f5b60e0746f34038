"""Curvature of torch models."""
