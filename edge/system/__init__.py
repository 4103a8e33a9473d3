"""Files, threads, privileges and devices of the operating system."""
