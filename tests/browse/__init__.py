"""Tests of `ls`, `du` and `get`."""
