"""The HTTP service over the running loop: a plain ASGI application, and how Ray Serve runs it.

Named `serve` beside Ray's: write `from ray import serve as ray_serve`.
"""
