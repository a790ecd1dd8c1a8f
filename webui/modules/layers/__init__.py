"""What can be laid over a checkpoint and taken off again, exactly."""
