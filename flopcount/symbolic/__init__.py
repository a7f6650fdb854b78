"""Cost as a closed form of the clip: exact polynomials in ⌊(n + shift) / step⌋, from traces and the same rules.

A few clips are traced, each size that varies is fitted by a staircase of the axes, and the cost rules run once on sizes
that know their formula.
"""

from .closed_forms import ClosedForm, closed_form, closed_form_of, form_of_model
from .form import Domain

__all__ = ["ClosedForm", "Domain", "closed_form", "closed_form_of", "form_of_model"]
