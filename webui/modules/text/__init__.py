"""From the words of a prompt to the conditioning of the U-Net."""
