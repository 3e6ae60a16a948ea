"""The parent process: starts recorders, watches them from outside, and gives their records to the judges."""
