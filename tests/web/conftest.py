from corridor import corridor, own_corridor, shared_corridor, world

__all__ = ["corridor", "own_corridor", "shared_corridor", "world"]
