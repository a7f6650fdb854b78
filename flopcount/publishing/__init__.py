"""What people look at: comparisons, figures, pages, budgets, reports of cost."""

__all__: list[str] = []
