"""Jobs on a Ray cluster: submitting, following and finding them; clusters on Kubernetes for one job each."""

from jobs.submit.client import Cluster, Submission
from jobs.submit.operator import Kubernetes, has_succeeded
from jobs.submit.ray_cluster import ray_cluster
from jobs.submit.ray_job import platform, ray_cron_job, ray_job, section_of
from jobs.submit.request import request
from jobs.submit.status import Status
from jobs.submit.yaml_text import in_blocks

__all__ = [
    "Cluster",
    "Kubernetes",
    "Status",
    "Submission",
    "has_succeeded",
    "in_blocks",
    "platform",
    "ray_cluster",
    "ray_cron_job",
    "ray_job",
    "request",
    "section_of",
]
