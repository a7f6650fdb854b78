"""Models of transformers: by class name, from a configuration, with inputs by general rules."""

from .models import LIBRARY, transformers_library

__all__ = ["LIBRARY", "transformers_library"]
