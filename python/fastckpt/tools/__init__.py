"""Tools around checkpoints."""
