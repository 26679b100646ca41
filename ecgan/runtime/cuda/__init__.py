"""CUDA as Jittor needs it: `find` says what this machine has, `folder` makes of it what Jittor looks for.

Jittor 1.3.11 knows CUDA 11 and 12 with cuDNN 8, in one folder. For CUDA 13, cuDNN 9, conda's packages and
NVIDIA's wheels a folder of links stands in for that one. No file of Jittor's is changed.
"""

from ecgan.runtime.cuda.folder import Overlay, Settings, fingerprint, overlays, prepare, without_our_flags
from ecgan.runtime.cuda.search import Cuda, Part, find, newest_gcc

__all__ = [
    "Cuda",
    "Overlay",
    "Part",
    "Settings",
    "find",
    "fingerprint",
    "newest_gcc",
    "overlays",
    "prepare",
    "without_our_flags",
]
