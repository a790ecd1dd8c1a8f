"""What training corrects: one file for each kind of model."""
