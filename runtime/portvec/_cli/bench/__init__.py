"""`portvec bench`: speed and memory on this device, each implementation in a process of its own."""
