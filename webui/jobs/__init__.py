"""Durable work: the queue, who carries it out, and the worker process."""
