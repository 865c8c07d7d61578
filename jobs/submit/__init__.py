"""Jobs on a Ray cluster: submitting, following and finding them."""

from jobs.submit.client import Cluster, Submission
from jobs.submit.request import request
from jobs.submit.status import Status

__all__ = ["Cluster", "Status", "Submission", "request"]
