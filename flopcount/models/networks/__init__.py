"""The architectures of the zoo, one file each, which reads alone."""

__all__: list[str] = []
