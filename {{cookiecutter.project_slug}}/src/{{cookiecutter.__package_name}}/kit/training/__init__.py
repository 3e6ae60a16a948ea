"""What happens around training: the loop, its limits, its files, its line of progress, its faults."""
