"""The workflow on a real SLURM: two nodes of a cluster that lives on this machine while tests run.

`make test-slurm` brings it up and takes it down. Both nodes are this host, so what is tried is that
the workflow goes through `sbatch`, and what becomes of faults; not what a network file system does.
"""
