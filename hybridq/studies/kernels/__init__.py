"""The study of kernels: machines fitted in closed form, quantum and classical, on few labels."""
