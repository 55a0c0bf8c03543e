"""Batch: the people of very many images, in shards, by workers of Ray Data."""

from poseg.batch.job import BatchResult, Job, run_batch
from poseg.batch.plan import Plan, make_plan
from poseg.batch.rows import read_shard

__all__ = ["BatchResult", "Job", "Plan", "make_plan", "read_shard", "run_batch"]
