"""What happens beside the steps of a training: what is kept, written, or changed on the way."""
