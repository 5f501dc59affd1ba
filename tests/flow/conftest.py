from corridor import corridor, own_corridor, shared_corridor, signing_time, world

__all__ = ["corridor", "own_corridor", "shared_corridor", "signing_time", "world"]
