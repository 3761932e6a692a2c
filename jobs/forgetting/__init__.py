"""Records withdrawn from everything that was made of them."""
