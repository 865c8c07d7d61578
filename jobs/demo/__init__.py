"""The demo: six pairs through the whole pipeline, and a sheet that shows them."""
