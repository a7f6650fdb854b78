"""What else a generation is about, as plain data: latents, tokens with their arithmetic, attention, experts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import prod
from typing import Any

from ...core.result import Result
from ...core.units import si
from .attention import attention_of
from .experts import Experts, steps_of_first
from .settings import Settings

__all__ = ["fact_lines", "facts_of"]


def facts_of(settings: Settings, reports: Mapping[str, Any], experts: Experts | None) -> dict[str, Any]:
    """The facts of a job whose stages have these reports."""
    denoiser = reports.get("denoise", reports.get("denoise_high"))
    facts: dict[str, Any] = {
        "video": _sizes(settings.video.sizes),
        "latents": {**_sizes(settings.latents.sizes), "channels": settings.latent_channels},
        "guidance": "embedded" if settings.embeds_guidance else settings.guided,
    }
    if (grid := settings.token_grid) is not None:
        facts["tokens"] = {
            "video": prod(grid),
            "arithmetic": " × ".join(map(str, grid)) + f" = {prod(grid):,}",
            "text": settings.text_tokens,
        }
    if isinstance(denoiser, Result):
        facts["attention"] = _attention(settings, denoiser)
    if isinstance(vae := reports.get("vae"), Result):
        facts["decoder_calls"] = sum(call.module == "decoder" for call in vae.calls)
    if experts is not None:
        high = steps_of_first(settings.steps, experts.shift, experts.boundary)
        facts["experts"] = {
            "boundary": float(experts.boundary),
            "shift": float(experts.shift),
            "source": experts.source,
            "steps": {"high": high, "low": settings.steps - high},
        }
    return facts


def fact_lines(facts: Mapping[str, Any]) -> Iterator[str]:
    """Tokens and self-attention in words; of several sizes, as in a UNet, the formula stands in the data alone."""
    if (tokens := facts.get("tokens")) is not None:
        yield f"tokens: {tokens['arithmetic']} of the video, {tokens['text']:,} of the text"
    if (own := facts.get("attention", {}).get("self")) is not None:
        formula = "" if " + " in own["dense_formula"] else f" ({own['dense_formula']})"
        beside = f", {si(own['sparse'])} at a density of {own['density']:g}" if "sparse" in own else ""
        yield f"self-attention of a pass: {si(own['dense'])} MACs dense, as counted{formula}{beside}"


def _sizes(sizes: tuple[int, int, int]) -> dict[str, int]:
    return dict(zip(("frames", "height", "width"), sizes, strict=True))


def _attention(settings: Settings, denoiser: Result) -> dict[str, Any]:
    """MACs of one pass, under the names that those of an answer have.

    With a density, self-attention of the video's tokens is given at that share beside the dense number.
    """
    found: dict[str, Any] = {}
    grid = settings.token_grid
    for kind, attention in attention_of(denoiser, prod(grid) if grid else 0).items():
        found[kind] = {"dense": attention.macs, "dense_formula": attention.formula}
        if kind == "self" and settings.density is not None:
            found[kind] |= {
                "density": float(settings.density),
                "sparse": attention.with_density(settings.density),
                "sparse_formula": f"{settings.density} · ({attention.formula})",
            }
    return found
