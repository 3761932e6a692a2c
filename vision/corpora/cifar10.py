"""The layout of CIFAR-10."""

from __future__ import annotations

from vision.corpora.cifar import CIFAR10, layout

LAYOUT = layout(CIFAR10)
