"""Atelier: draw with, inspect, combine and train the five kinds of Stable Diffusion files."""

__version__ = "0.1.0"
