"""The child process: makes the environment, plays with it, and writes down what came, for the judges to look at."""
