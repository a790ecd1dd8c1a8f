"""Atelier: draw with, inspect, combine and train the five kinds of Stable Diffusion files."""
