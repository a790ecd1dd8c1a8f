"""From noise to latent: schedules, seeds, guidance and samplers."""
