"""Evaluations of every night: what `nightly.yaml` asks for, run once a night, judged, told.

A night is an entry on a date, `faces@2026-03-29`: its runs carry that name as the tag `safelight.night`.
"""
