"""How processes of this project use the cores: one thread a step, and threads that wait asleep."""

import os


def prepare_openmp() -> None:
    """Set what the environment leaves open; to be called before torch, LightGBM or scikit-learn load.

    Threads of OpenMP that wait spin by default. Where other processes want their cores they keep all from
    working: 450 trees by two threads on two busy cores took 52 s (23 of the CPU), asleep 7.5 s (3.4).
    """
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
