"""What knows the machine: devices, and the paths on which recurrent layers run."""
