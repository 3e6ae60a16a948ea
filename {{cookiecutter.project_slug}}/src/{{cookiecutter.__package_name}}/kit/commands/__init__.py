"""The commands: one module each, with a `main(task, arguments)` that returns the exit code."""
