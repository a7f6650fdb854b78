"""What torch's CPU allocator hands out while code runs, by its own profiler."""

from torch.profiler import ProfilerActivity, profile


def recorded(run):
    """Peak of the bytes that torch's CPU allocator hands out and takes back during `run`, and what is left of them."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiled:
        result = run()
    events = [event for event in profiled.profiler.kineto_results.events() if event.name() == "[memory]"]
    held = top = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        held += event.nbytes()
        top = max(top, held)
    del result
    return top, held
