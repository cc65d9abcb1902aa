"""A flow whose processors work in processes of their own, wherever a host has them."""
