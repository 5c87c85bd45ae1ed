"""`iseg3d demo`: a made scene, a scripted operator, and the whole system to watch at it."""
