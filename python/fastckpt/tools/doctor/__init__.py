"""Why something does not load, and what to do about it."""

from fastckpt.tools.doctor.diagnosis import diagnose
from fastckpt.tools.doctor.findings import Diagnosis, Finding

__all__ = ["Diagnosis", "Finding", "diagnose"]
