"""Headrace beside langchain-core and hand-written generators; run with `python -m benchmarks`.

| file             | holds                                                                    |
|------------------|--------------------------------------------------------------------------|
| `workloads.py`   | the table: every workload, its sizes, what is reported of it, the aims   |
| `raw.py`         | each workload written by hand, without a library                         |
| `chains.py`      | each workload on the Runnable vocabulary: the same lines for both libraries |
| `growing_json.py` | JSON that is looked at while it arrives                          |
| `crowd.py`       | the thousand concurrent streams                                          |
| `jobs.py`        | what a workload is to the clock                                          |
| `contenders.py`  | who does the work, and where to find a job                               |
| `worker.py`      | one measurement in a fresh process                                       |
| `report.py`      | medians, ratios, the table                                               |
| `__main__.py`    | rounds, contenders in turn, options                                      |
"""
