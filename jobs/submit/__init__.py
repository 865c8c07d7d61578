"""Jobs on a Ray cluster: submitting, following and finding them."""
