"""What extends RLlib: networks and their normalisation, the learner, and the env runner."""
