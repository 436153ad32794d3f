"""Settings of every test: quiet threads, no network, and Hypothesis' profiles.

ci    the same examples on every run (scripts/check sets HYPOTHESIS_PROFILE=ci)
dev   new examples on every run; what fails is kept in .hypothesis
"""

import os

# Before anything imports torch or transformers, so that a bare `pytest` runs as scripts/check does.
for name, value in {
    "OMP_NUM_THREADS": "1",
    "OMP_WAIT_POLICY": "PASSIVE",
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TOKENIZERS_PARALLELISM": "false",
}.items():
    os.environ.setdefault(name, value)

from hypothesis import HealthCheck, settings

# No deadline: one slow moment of a busy machine is not a failure.
settings.register_profile(
    "ci",
    derandomize=True,
    deadline=None,
    database=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("dev", deadline=None, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "dev"))
