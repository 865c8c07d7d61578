import os

import torch

# Small pictures: threads would wait for each other longer than they work, above all on a busy machine.
torch.set_num_threads(1)

if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")  # kernels for GPUs run on CPUs; read when Triton is imported
