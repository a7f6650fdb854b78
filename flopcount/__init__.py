"""flopcount tells what a video network costs, exactly and with reasons, before anyone runs it."""
