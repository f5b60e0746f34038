"""Declare, run, record and report reproductions of papers."""
