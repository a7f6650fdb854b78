"""What a training step costs: forward, loss, backward by input and by weight apart, recomputation, optimizer.

`count_flops(..., mode="train")` reports it as `report.training`. What enters is a forward's report and the trace of a
step; what leaves is a Training (step.py), whose tables are in tables.py. The command reads the names of optimizers
before torch is loaded, so nothing is imported here.
"""

__all__: list[str] = []
