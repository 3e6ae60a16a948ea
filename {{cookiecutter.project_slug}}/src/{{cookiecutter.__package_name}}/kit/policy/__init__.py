"""What acts: the networks in plain torch, and the folder of data that a trained policy is. Nothing here imports Ray."""
