"""Tests of moving a database to another kind of one."""
