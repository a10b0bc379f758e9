"""Cgroups by systemd: scopes and slices that are asked for over D-Bus."""
