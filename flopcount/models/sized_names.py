"""Names of models of known sizes and of their parts: "wan2.1-t2v-1.3b/vae.decode", "v-jepa2-vit-l".

The public identifier of a model is an alias of its name. Nothing here imports torch.
"""

from __future__ import annotations

from ..core.errors import InputError, UnknownNameError
from ..facts.model_sizes import ModelPart, ModelSizes, find_sizes, model_sizes

__all__ = ["is_sized", "sized_names", "sized_part"]


def sized_names() -> list[str]:
    """Every name: of the model where it is one network, and with each part where it has several."""
    names: list[str] = []
    for sizes in model_sizes().values():
        if sizes.whole is not None:
            names.append(sizes.name)
        if len(sizes.parts) > 1:
            names += [f"{sizes.name}/{part}" for part in sizes.parts]
    return names


def is_sized(name: str) -> bool:
    """Whether a name begins with that of a model of known sizes."""
    return _split(name) is not None


def sized_part(name: str) -> tuple[ModelSizes, ModelPart, str]:
    """The model, the part and the half of it ("encode", or "" for the part as it is) that a name says.

    Raises:
        InputError: the model has several networks, and the name says none of them.
        UnknownNameError: there is no such model, or it has no such part.
    """
    split = _split(name)
    if split is None:
        raise UnknownNameError("model of known sizes", name, sized_names(), "see `flopcount list --task generation`")
    sizes, rest = split
    if not rest:
        if sizes.whole is not None:
            return sizes, sizes.whole, ""
        parts = ", ".join(f"{sizes.name}/{part}" for part in sizes.parts)
        fix = f"name a part, or count the whole job: flopcount generate {sizes.name}"
        raise InputError(f"{sizes.name} is a job of several networks", [("seen", parts), ("fix", fix)])
    part, _, half = rest.partition(".")
    return sizes, sizes.part(part), half


def _split(name: str) -> tuple[ModelSizes, str] | None:
    """The model and what follows its name; None where no model is named."""
    lower = name.lower()
    for sizes in model_sizes().values():
        for alias in (sizes.name.lower(), sizes.hub_id.lower()):
            if lower == alias or (alias and lower.startswith(f"{alias}/")):
                return find_sizes(alias), lower[len(alias) + 1 :]
    return None
