"""The zoo: `create_model` builds a network for a clip, `list_models` names them.

Importing this does not import torch; building a network does.
"""

from .cards import CARDS, Card
from .definitions import require_inputs
from .recipe import Recipe, recipe_of
from .zoo import create_model, list_models, name_in_zoo, require_known

__all__ = [
    "CARDS",
    "Card",
    "Recipe",
    "create_model",
    "list_models",
    "name_in_zoo",
    "recipe_of",
    "require_inputs",
    "require_known",
]
