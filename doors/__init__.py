"""The doors of the cloud: what every trigger of `main.py` shares. `embedded` is the same for one machine."""
