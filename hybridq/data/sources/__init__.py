"""Read images from named sets, folders, `.npz` files and a generator."""
