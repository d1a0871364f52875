"""Scalelite's management API, `/scalelite/api/…`, for the scripts and the Ansible module that were written for it."""
