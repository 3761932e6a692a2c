"""The layout of CIFAR-100."""

from __future__ import annotations

from vision.corpora.cifar import CIFAR100, layout

LAYOUT = layout(CIFAR100)
