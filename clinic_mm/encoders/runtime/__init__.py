"""What deployed networks are run by: OpenVINO on a CPU, PyTorch on a GPU. Training and out-of-fold work use neither."""
