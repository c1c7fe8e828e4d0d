"""Model the noise of devices, and noise with parameters of its own."""
