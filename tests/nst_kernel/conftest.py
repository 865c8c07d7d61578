import torch

# Small pictures: threads would wait for each other longer than they work, above all on a busy machine.
torch.set_num_threads(1)
