"""A dictionary of features: the middles of clusters, by which a photo's features are counted.

References: Sivic & Zisserman, "Video Google", ICCV 2003; Arthur & Vassilvitskii, "k-means++", SODA 2007.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np

from vision.accumulator import Array

_BLOCK = 4096


@dataclass(frozen=True, eq=False)
class Dictionary:
    """(V, D) float32 words."""

    words: Array

    @classmethod
    def learn(cls, features: Array, count: int, seed: int = 0, rounds: int = 20) -> Dictionary:
        """Words of a sample of features, by k-means.

        Args:
            features: (N, D), from many photos; some hundred for each word.

        Returns:
            the dictionary; a cluster that ran empty leaves no word, so there may be a few less.

        Raises:
            ValueError: if there are fewer features than words.
        """
        from scipy.cluster.vq import kmeans2

        if not 1 <= count <= len(features):
            raise ValueError(f"a dictionary of {count} words needs as many features, got {len(features)}")
        generator = np.random.default_rng(seed)
        with warnings.catch_warnings():
            # Of a cluster that runs empty: its word is left out below.
            warnings.simplefilter("ignore", UserWarning)
            words, owner = kmeans2(features.astype(np.float64), count, rounds, minit="++", rng=generator)
        used = np.bincount(owner, minlength=count) > 0
        return cls(words[used].astype(np.float32))

    def nearest(self, features: Array) -> Array:
        """(N,) int64: the word next to each feature (N, D).

        Raises:
            ValueError: if features have another width than words.
        """
        if features.ndim != 2 or features.shape[1] != self.words.shape[1]:
            raise ValueError(f"features must be (N, {self.words.shape[1]}), got {features.shape}")
        half = (self.words.astype(np.float64) ** 2).sum(axis=1) / 2
        words = self.words.astype(np.float64).T
        parts = [
            (features[start : start + _BLOCK].astype(np.float64) @ words - half).argmax(axis=1)
            for start in range(0, len(features), _BLOCK)
        ]
        return np.concatenate(parts) if parts else np.zeros(0, np.int64)

    def histogram(self, features: Array) -> Array:
        """(V,) float64 shares of the features (N, D) that each word is next to; all 0 where there are no features."""
        counts = np.bincount(self.nearest(features), minlength=len(self.words))
        shares: Array = counts / max(len(features), 1)
        return shares
