"""Who does the work: by name, the jobs of the hand-written version and of both libraries.

The only module that knows `raw.py`, `chains.py`, `watched.py` and `growing_json.py`; they know what
a job is (`jobs.py`), not who looks for one.
"""

from __future__ import annotations

from . import chains, growing_json, raw, watched
from .jobs import Job, Library

CONTENDERS = ("raw", "headrace", "langchain-core")
RAW = {**raw.JOBS, **watched.RAW, **growing_json.RAW}
CHAINS = {**chains.JOBS, **watched.JOBS, **growing_json.JOBS}
PACKAGES = {"headrace": "headrace", "langchain-core": "langchain_core"}


def job_for(contender: str, workload: str, size: int) -> Job:
    """The job of one contender; raises KeyError for a workload that it does not have."""
    if contender == "raw":
        return RAW[workload](size)
    return CHAINS[workload](Library(PACKAGES[contender]), size)
