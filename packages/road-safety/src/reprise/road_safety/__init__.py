"""Accident prediction and causal effects on road networks."""
