"""What a training step costs: forward, loss, backward by input and backward by weight, recomputation, optimizer.

`count_flops(..., mode="train")` reports it as `report.training`. The input is a forward's report and the trace of a
step, the output a Training (step.py), whose tables are in tables.py. The command reads the names of optimizers before
torch is loaded, so this file imports nothing.
"""

__all__: list[str] = []
